"""Reading and fetching without a frozen window: the work runs in a thread while the window goes on painting.

napari calls readers in its own thread and wants the layers back from the call, so the window cannot be used meanwhile;
but it is drawn, its activity bar moves, and the system does not call it dead.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

Result = TypeVar("Result")

# Shorter work is not worth a repainted window.
_AT_ONCE = 0.1
_BETWEEN_REPAINTS = 0.02


def without_freezing(work: Callable[[], Result]) -> Result:
    """Return what `work` returns, or raise what it raises.

    In the thread of a running Qt application, `work` (which must touch no widget and no layer) runs in a thread of its
    own, and the window is repainted until it is done; clicks and keys wait. Anywhere else it is simply called.
    """
    widgets = sys.modules.get("qtpy.QtWidgets")
    application = widgets.QApplication.instance() if widgets else None
    if application is None or threading.current_thread() is not threading.main_thread():
        return work()
    from qtpy.QtCore import QEventLoop

    flag = QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents
    with ThreadPoolExecutor(1, "genesis-reading") as pool:
        future = pool.submit(work)
        wait([future], _AT_ONCE)
        while not future.done():
            application.processEvents(flag)
            wait([future], _BETWEEN_REPAINTS)
        return future.result()
