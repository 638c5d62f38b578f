"""The daemon on a full screen: levels, who is heard as it happens, the last decisions.

``watching`` brings the control socket's events, ``model`` holds what they add up to, ``app`` draws
it. Nothing here decides: what is shown while somebody speaks is a look at scores, and only a
decision is one.
"""

from __future__ import annotations
