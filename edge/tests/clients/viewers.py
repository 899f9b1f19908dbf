"""Many who watch live: viewers.py HOST:PORT VIEWERS SECONDS. Tells how many updates a second each of them gets, and how late."""

import asyncio
import json
import resource
import sys
import time

HEAD = (
    "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()
LATE = []


class Viewer(asyncio.Protocol):
    """Reads frames without looking into them, but for one viewer in a hundred."""

    def __init__(self, looks):
        self.looks, self.kept, self.left, self.frames, self.head, self.lost = looks, b"", 0, 0, True, False

    def connection_made(self, transport):
        transport.write(HEAD)

    def connection_lost(self, _):
        self.lost = True

    def data_received(self, data):
        if self.left and not self.looks:
            taken = min(self.left, len(data))
            self.left -= taken
            self.frames += self.left == 0
            data = data[taken:]
            if not data:
                return
        self.kept += data
        if self.head:
            if b"\r\n\r\n" not in self.kept:
                return
            self.head, self.kept = False, self.kept.split(b"\r\n\r\n", 1)[1]
        while len(self.kept) >= 4:
            assert self.kept[0] == 0x81, self.kept[:4]
            start, length = (4, int.from_bytes(self.kept[2:4])) if self.kept[1] == 126 else (2, self.kept[1])
            if not self.looks:
                self.left = max(0, start + length - len(self.kept))
                self.frames += self.left == 0
                self.kept = self.kept[start + length :]
                continue
            if len(self.kept) < start + length:
                return
            LATE.append(time.time() * 1000 - json.loads(self.kept[start : start + length])["now_ms"])
            self.frames += 1
            self.kept = self.kept[start + length :]


async def main(address, count, seconds):
    host, port = address.rsplit(":", 1)
    loop = asyncio.get_running_loop()
    viewers = []
    for at in range(count):
        viewers.append((await loop.create_connection(lambda at=at: Viewer(at % 100 == 0), host, int(port)))[1])
    await asyncio.sleep(3)
    before, start = [one.frames for one in viewers], time.monotonic()
    LATE.clear()
    await asyncio.sleep(seconds)
    passed = time.monotonic() - start
    rates = sorted((one.frames - then) / passed for one, then in zip(viewers, before))
    late = sorted(LATE)
    print(f"{count} watch, {sum(one.lost for one in viewers)} were lost; updates a second: fewest {rates[0]:.2f}, median {rates[count // 2]:.2f};", end=" ")
    print(f"late by {late[len(late) // 2]:.0f} ms in the median, {late[-1]:.0f} ms at most")


_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
