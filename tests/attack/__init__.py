"""The attacks of the threat model, each against the running bot through a homeserver that lies."""
