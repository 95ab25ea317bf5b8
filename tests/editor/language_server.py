"""A small client for yaml-language-server over stdio: open documents, read diagnostics, ask."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, Queue
from typing import Any

TIMEOUT = 60


class LanguageServer:
    """One server process. Documents live in memory; the schema is found by their modeline."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            ["node", str(program), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.answers: dict[int, Queue[Any]] = {}
        self.diagnostics: dict[str, Queue[list[dict[str, Any]]]] = {}
        self.count = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ask(
            "initialize",
            {"processId": None, "rootUri": folder.as_uri(), "capabilities": CAPABILITIES},
        )
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": SETTINGS})

    def open(self, text: str) -> str:
        """Opens a new document in the folder; returns its address."""
        uri = (self.folder / f"{len(self.diagnostics)}.yaml").as_uri()
        self.diagnostics[uri] = Queue()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def problems(self, uri: str) -> list[dict[str, Any]]:
        """What the editor underlines."""
        return self.diagnostics[uri].get(timeout=TIMEOUT)

    def labels(self, uri: str, line: int, column: int) -> list[str]:
        """What is offered at a place, both 0-based as in the protocol."""
        found = self.ask("textDocument/completion", _at(uri, line, column))
        return [item["label"] for item in found["items"]]

    def hover(self, uri: str, line: int, column: int) -> str:
        """What is shown at a place."""
        found = self.ask("textDocument/hover", _at(uri, line, column))
        return str(found["contents"]["value"]) if found else ""

    def ask(self, method: str, params: Mapping[str, Any] | None) -> Any:
        """Sends a request and waits for its answer."""
        self.count += 1
        self.answers[self.count] = Queue()
        self._send({"id": self.count, "method": method, "params": params})
        return self.answers[self.count].get(timeout=TIMEOUT)

    def stop(self) -> None:
        """Ends the process."""
        try:
            self.ask("shutdown", None)
            self._tell("exit", None)
            self.process.wait(timeout=10)
        except (Empty, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.reader.join(timeout=10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def _tell(self, method: str, params: Mapping[str, Any] | None) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout
        while line := self.process.stdout.readline():
            length = int(line.split(b":")[1])
            while self.process.stdout.readline().strip():
                pass
            self._take(json.loads(self.process.stdout.read(length)))

    def _take(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method == "textDocument/publishDiagnostics":
            params = message["params"]
            if params["uri"] in self.diagnostics:
                self.diagnostics[params["uri"]].put(params["diagnostics"])
        elif method == "workspace/configuration":
            sections = [item.get("section") for item in message["params"]["items"]]
            self._send(
                {"id": message["id"], "result": [SETTINGS.get(name, {}) for name in sections]}
            )
        elif method and "id" in message:
            self._send({"id": message["id"], "result": None})
        elif "id" in message:
            self.answers[message["id"]].put(message.get("result"))


def _at(uri: str, line: int, column: int) -> dict[str, Any]:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}


SETTINGS: dict[str, Any] = {
    "yaml": {
        "validate": True,
        "hover": True,
        "completion": True,
        "schemaStore": {"enable": False},  # no network
    },
    "[yaml]": {},
    "http": {},
    "editor": {},
    "files": {},
}
CAPABILITIES = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True}},
        "hover": {"contentFormat": ["markdown", "plaintext"]},
        "publishDiagnostics": {},
    },
    "workspace": {"configuration": True},
}
