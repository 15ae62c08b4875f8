"""FlowPilot: guided diagnosis, documentation and hand-off for technicians of service providers."""

__version__ = "0.1.0"
