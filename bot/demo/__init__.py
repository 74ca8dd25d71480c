"""A homeserver, officers and a tour for machines that have none: everything `make run` and `make demo` need."""
