"""Files that the program carries: icons, fonts and sample workflows. Read them through importlib.resources."""
