"""The nouns and the rules of FlowPilot, in the standard library alone.

Nothing here touches a disk, a network or a screen: what is in this package can be read and
tested without knowing which database, ticketing system, model or toolkit the product uses.
"""
