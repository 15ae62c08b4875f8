"""Troubleshooting flows: written trees that ask and advise when no model can.

``document`` reads YAML without trusting it, ``loading`` makes a ``model.Flow`` of it and
``soundness`` looks for dead ends, each finding with its file and line. ``library`` holds the
shipped flows and the technician's own, ``matching`` picks the one an intake speaks of, ``walk``
turns the recorded steps into the next card, and ``belief`` says how sure that makes us of which
cause. Nothing here keeps state: whoever has the steps has the position in the flow.
"""

from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.matching import FlowMatch
from flowpilot_desktop.flows.model import Finding, Flow

__all__ = ["Finding", "Flow", "FlowLibrary", "FlowMatch"]
