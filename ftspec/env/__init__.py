"""Locks -> environments, with uv.

The floor on which training frameworks live. Their pins exclude each other, so each backend has an
environment of its own, laid down from a lock that was seen to train:

- ``locks``: which versions, by name, version and hash; ``relock`` makes a lock anew.
- ``sources``: where packages come from: what pip is configured to use, told to uv.
- ``variant``: which build of torch, cpu or cuda, for all members of a comparison.
- ``install``: ``ensure`` lays an environment down once, ``find`` only looks.
- ``own``: a person's own interpreter instead, after a check of its versions.
- ``store``: where environments lie and how large they are; ``remove`` takes them away.
- ``variables``: the environment variables of a process that runs in one.
- ``doctor``: what is wrong, and the command that mends it.

Nothing here prints, knows a command line, or imports a training framework.
"""
