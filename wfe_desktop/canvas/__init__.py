"""The canvas: draws a graph with NodeGraphQt, and tells what the user asks for. ``adapter.CanvasWidget`` is its door.

Nothing outside this package imports NodeGraphQt, and nothing in it changes the document.
"""
