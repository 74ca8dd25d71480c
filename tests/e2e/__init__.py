"""The edges as they are: a real homeserver, real encrypted clients."""
