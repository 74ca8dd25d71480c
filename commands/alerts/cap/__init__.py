"""CAP 1.2, the Common Alerting Protocol: the document, its rules, and its XML both ways. Pure."""

from commands.alerts.cap.document import Refused
from commands.alerts.cap.xml import LARGEST, from_xml, to_xml

__all__ = ["LARGEST", "Refused", "from_xml", "to_xml"]
