"""A homeserver, officers and a tour, for machines that have none of them."""
