"""Headless Chromium, driven through its DevTools protocol; nothing but the browser itself is needed."""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the command of a Chromium on this machine, None when there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser with one page; a context manager."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as started:
            self._profile = started.enter_context(
                tempfile.TemporaryDirectory(prefix="pages-", ignore_cleanup_errors=True)
            )
            command = [
                find_chromium() or NAMES[0], "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-dev-shm-usage", "--remote-debugging-port=0", "--no-first-run", "--disable-component-update",
                "--disable-background-networking", f"--user-data-dir={self._profile}", "about:blank",
            ]  # fmt: skip
            process = started.enter_context(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            started.callback(process.terminate)
            self._socket = started.enter_context(connect(self._address(), max_size=None, proxy=None))
            self._numbers, self._session = 0, ""
            target = next(one for one in self._call("Target.getTargets")["targetInfos"] if one["type"] == "page")
            attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            self._session = attached["sessionId"]
            self._call("Page.enable")
            self._started = started.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._started.close()

    def size(self, width: int, height: int) -> None:
        """Make the window as large as that of a phone or a desktop."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def open(self, url: str) -> None:
        """Go to an address and wait until it is there."""
        self._call("Page.navigate", url=url)
        self.wait()

    def act(self, script: str) -> None:
        """Do something that leads to another page, and wait until it is there."""
        self.run("document.documentElement.dataset.old = 'yes'")
        self.run(f"setTimeout(() => {{ {script} }}, 0) && 0")  # the answer comes before the page is left
        self._arrive()

    def leave(self, key: str) -> None:
        """Press a key that leads to another page, and wait until it is there."""
        self.run("document.documentElement.dataset.old = 'yes'")
        self.press(key)
        self._arrive()

    def back(self) -> None:
        """Go back as the button of the browser does, and wait until the page before is there."""
        self.act("history.back()")

    def _arrive(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._seen("document.documentElement?.dataset.old || ''") in (
            "yes",
            None,
        ):
            time.sleep(0.05)
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self._seen("document.readyState") == "complete" and self._seen("location.href") not in (
                "about:blank",
                None,
            ):
                return
            time.sleep(0.02)
        raise TimeoutError("the page did not load")

    def run(self, script: str) -> Any:
        """Run a script of the test in the page and return its value; the page's own policy does not hold for it.

        It counts as done by a hand: where it leads to is a step of its own to go back from, also while the page is still loading.
        """
        answered = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in answered:
            raise RuntimeError(json.dumps(answered["exceptionDetails"])[:2000])
        return answered["result"].get("value")

    def _seen(self, script: str) -> Any:
        """Return the value of a script that only looks, None while one page gives way to the next."""
        try:
            return self.run(script)
        except RuntimeError as error:
            if "navigated or closed" in str(error):
                return None
            raise

    def press(self, key: str) -> None:
        """Press a key: Tab, Enter or a space."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key], **more)

    def picture(self, file: Path) -> None:
        """Keep a picture of the whole page."""
        taken = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))

    def _address(self) -> str:
        port_file = Path(self._profile, "DevToolsActivePort")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if port_file.exists() and (found := re.match(r"(\d+)\n(\S+)", port_file.read_text(encoding="ascii"))):
                return f"ws://127.0.0.1:{found[1]}{found[2]}"
            time.sleep(0.05)
        raise TimeoutError("Chromium did not start")

    def _call(self, method: str, **parameters: Any) -> Any:
        self._numbers += 1
        sent: dict[str, Any] = {"id": self._numbers, "method": method, "params": parameters}
        if self._session:
            sent["sessionId"] = self._session
        self._socket.send(json.dumps(sent))
        while True:
            answer = json.loads(self._socket.recv(30))
            if answer.get("id") == self._numbers:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
