"""Doors to other programs; nothing of memspike imports them but its verbs, when they are called."""
