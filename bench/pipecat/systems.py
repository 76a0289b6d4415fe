"""The two systems, and the fakes that both are pointed at, as child processes."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import scenario

HERE = Path(__file__).parent
KEY = "key-of-the-comparison"

# Pipecat needs seconds for its imports, more on a busy machine.
READY_SECONDS = 60.0
STOP_SECONDS = 10.0
REQUEST_SECONDS = 10.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """A child process, and what the kernel knows of it."""

    def __init__(self, name, command, ready, environment=None, keeps_stdin=False):
        """`ready` is a regular expression with one group: the address, in a line of what it prints."""
        self.name = name
        self._log = tempfile.TemporaryFile(mode="w+")
        self._ready = re.compile(ready)
        self._child = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], **(environment or {})},
            stdin=subprocess.PIPE if keeps_stdin else subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    async def address(self):
        """Waits until it is ready, and says where it is."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while True:
                    found = self._ready.search(self.log())
                    if found:
                        return found.group(1)
                    if self._child.poll() is not None:
                        raise RuntimeError(f"{self.name} ended at its start:\n{self.log()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            message = f"{self.name} is not ready after {READY_SECONDS} s:\n{self.log()}"
            raise RuntimeError(message) from None

    def log(self):
        with os.fdopen(os.dup(self._log.fileno())) as log:
            return os.pread(log.fileno(), 1 << 24, 0).decode(errors="replace")

    def cpu_seconds(self):
        """User and system time of the process and of the children it has had."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15]) / TICKS_PER_SECOND

    def rss_bytes(self):
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    async def stop(self):
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(self._child.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                await asyncio.to_thread(self._child.wait)
        self._log.close()


class Fakes:
    """The fake providers."""

    def __init__(self, offhook):
        options = json.dumps({"timing": {"llm_words": scenario.ANSWER_WORDS}})
        command = [offhook, "fakes", "--listen", "127.0.0.1:0", "--options", options]
        self._process = Process("the fakes", command, r"fakes (http://\S+)", keeps_stdin=True)
        self.url = None

    async def start(self):
        self.url = await self._process.address()
        return self

    async def fault(self, fault):
        """Breaks a provider."""
        await post(f"{self.url}/fakes/fault", fault)

    async def stop(self):
        await self._process.stop()


class Offhook:
    """`offhook serve`, and its calls."""

    name = "Offhook"

    def __init__(self, offhook, fakes, transcriber):
        self._store = tempfile.TemporaryDirectory()
        providers = {"deepgram": "deepgram", "openai": "openai/v1", "11labs": "elevenlabs"}
        settings = {
            "server.listen": "127.0.0.1:0",
            "server.log_format": "json",
            "store.path": self._store.name,
            **{
                f"providers.{name}.{key}": value
                for name, path in providers.items()
                for key, value in (("base_url", f"{fakes.url}/{path}"), ("api_key", "key"))
            },
        }
        sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        self.process = Process(
            self.name,
            [offhook, "serve", *sets],
            r'"message":"ready".*"url":"([^"]+)"',
            environment={"OFFHOOK_AUTH__API_KEYS": KEY},
        )
        self._assistant = scenario.assistant(transcriber)
        self._url = None

    async def start(self):
        self._url = await self.process.address()
        return self

    async def leg(self):
        """The address of a new call's leg."""
        transport = {
            "provider": "vapi.websocket",
            "audioFormat": {"format": "mulaw", "container": "raw", "sampleRate": 8000},
        }
        body = {"assistant": self._assistant, "transport": transport}
        call = await post(f"{self._url}/call", body, {"authorization": f"Bearer {KEY}"})
        return call["transport"]["websocketCallUrl"]

    async def stop(self):
        await self.process.stop()
        self._store.cleanup()


class Pipecat:
    """`bot.py`, one process for all calls."""

    name = "Pipecat"

    def __init__(self, _offhook, fakes, transcriber):
        self.process = Process(
            self.name,
            [sys.executable, str(HERE / "bot.py")],
            r"bot (http://\S+)",
            environment={"FAKES_URL": fakes.url, "TRANSCRIBER": transcriber},
        )
        self._url = None

    async def start(self):
        self._url = await self.process.address()
        return self

    async def leg(self):
        """The address of a new call's leg."""
        return self._url.replace("http://", "ws://") + "/call"

    async def stop(self):
        await self.process.stop()


SYSTEMS = (Offhook, Pipecat)


async def post(url, body, headers=None):
    """Posts JSON and reads JSON."""
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", **(headers or {})},
    )

    def ask():
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"POST {url} answered {error.code}: {error.read()[:500]}") from None

    return await asyncio.to_thread(ask)
