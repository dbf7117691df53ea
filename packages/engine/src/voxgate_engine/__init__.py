"""An offline model server that speaks the OpenAI Realtime protocol, with a script in place of a model."""

from voxgate_engine.conversation import TRANSITIONS, Closing, Conversation, Cue, Floor
from voxgate_engine.server import EngineServer
from voxgate_engine.settings import EngineSettings

__all__ = [
    "TRANSITIONS",
    "Closing",
    "Conversation",
    "Cue",
    "EngineServer",
    "EngineSettings",
    "Floor",
    "__version__",
]

__version__ = "0.2.0rc2"
