"""The widgets of jupyter-ext. Importing this needs anywidget, so `import jupyter_ext` must not."""

from jupyter_ext_widgets.bundle import StaticFiles, StaticFilesMissing, static_dir, static_files
from jupyter_ext_widgets.training_panel import TrainingPanel
from jupyter_ext_widgets.tunnel import Closable, EngineDoor

__all__ = ["Closable", "EngineDoor", "StaticFiles", "StaticFilesMissing", "TrainingPanel", "static_dir", "static_files"]
