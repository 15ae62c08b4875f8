"""The schema's history. Each revision is a file in ``versions``, numbered; the last is the head.

A revision says in plain SQL what it does, so that it goes on doing exactly that when the tables of
today have moved on. It runs inside one transaction together with the note of its number.
"""
