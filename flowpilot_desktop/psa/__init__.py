"""Ticketing systems behind one port.

``registry`` names the providers and makes an adapter for a connection. ``connectwise`` speaks
ConnectWise's REST interface; ``practice`` is a make-believe MSP in memory, for the demo and for
tests. Both pass the same contract suite, and nothing of a vendor leaks through either.
"""
