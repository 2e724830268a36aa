"""An example estate: seven ML tools of a streaming company, over HTTP, with their truth.

It stands for other people's systems, so it shares no code and no words with Lineal. ``DIALECTS.md``
shows the wire format of each tool; ``World`` is what they know, ``Estate`` plays them, ``truth``
answers the thirteen questions.
"""
