"""The desktop program: the window, the server beside it, and the command line."""
