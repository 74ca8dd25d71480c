"""Members: who is enrolled, for which agency, with which identity and roles; nobody else is heard."""

from commands.members import enrolment, grants, identities, standing, verification
from commands.members.capability import members

__all__ = ["enrolment", "grants", "identities", "members", "standing", "verification"]
