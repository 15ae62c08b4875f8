"""The mind that is a language model: what it is told, who is asked, and what of its answer counts.

``conversation`` builds, from durable records alone, what a model is told of a session; ``wording``
says how each thing is told, ``context`` how a ticket reads, and ``pen`` writes it, masked, with the
text of strangers in the labelled blocks of ``fence``. ``prompts`` holds the instructions;
``registry`` knows the providers by name. An adapter such as ``claude`` speaks one vendor's
protocol, and ``schema`` turns the answer into one of our steps, or refuses it. ``commands`` judges
the risk of a command without believing the model, and ``prices`` knows what tokens cost.

Above this package nobody knows which vendor answers: they import ``registry``, ``conversation``
and ``prices``.
"""
