"""What the hub exports as OTLP, read by receivers in Python: gRPC's own server, and one over HTTP."""

import gzip
import json
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as messages
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceServicer, add_MetricsServiceServicer_to_server
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics
from place import Place, until


def texts(attributes):
    return {one.key: one.value.string_value for one in attributes}


class Received:
    """Points by metric, attributes and time, and what else was in the messages."""

    def __init__(self):
        self.lock = threading.Lock()
        self.points, self.counters, self.begins, self.units, self.resources, self.scopes = {}, set(), {}, {}, [], set()
        self.encodings, self.rejected = set(), 0

    def take(self, request, encoding):
        with self.lock:
            self.encodings.add(encoding)
            for of_host in request.resource_metrics:
                resource = texts(of_host.resource.attributes)
                if resource not in self.resources:
                    self.resources.append(resource)
                for scope in of_host.scope_metrics:
                    self.scopes.add(scope.scope.name)
                    for metric in scope.metrics:
                        self.take_metric(resource["host.name"], metric)
            answer = messages.ExportMetricsServiceResponse()
            if self.rejected:
                answer.partial_success.rejected_data_points = self.rejected
                answer.partial_success.error_message = "too old"
                self.rejected = 0
            return answer

    def take_metric(self, host, metric):
        data = getattr(metric, metric.WhichOneof("data"))
        self.units[metric.name] = metric.unit
        if metric.WhichOneof("data") == "sum":
            assert data.is_monotonic and data.aggregation_temporality == metrics.AGGREGATION_TEMPORALITY_CUMULATIVE
            self.counters.add(metric.name)
        for point in data.data_points:
            key = (host, metric.name, json.dumps(texts(point.attributes), sort_keys=True))
            known = self.points.setdefault(key, {}).setdefault(point.time_unix_nano // 1_000_000, point.as_double)
            assert known == point.as_double, (key, known, point.as_double)
            if point.start_time_unix_nano:
                self.begins[metric.name] = point.start_time_unix_nano // 1_000_000


def over_grpc(received):
    class Service(MetricsServiceServicer):
        def Export(self, request, context):
            return received.take(request, dict(context.invocation_metadata()).get("grpc-encoding", "as gRPC took it"))

    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_MetricsServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # It ends with its last reference.
    received.server = server
    return port


def over_http(received):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            assert self.path == "/v1/metrics", self.path
            assert self.headers["Content-Type"] == "application/x-protobuf"
            body, encoding = self.rfile.read(int(self.headers["Content-Length"])), self.headers["Content-Encoding"]
            request = messages.ExportMetricsServiceRequest.FromString(gzip.decompress(body) if encoding == "gzip" else body)
            answer = received.take(request, encoding).SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def destinations(place):
    return {one["name"]: one for one in json.loads(place.command("hub", "--state", "hub", "export", "list", "--json"))}


def both_receive_what_queries_show(place, received):
    begin = time.time() * 1000
    place.issue("agent", "a")
    place.start("a", "agent", "--hub", f"127.0.0.1:{place.port}")

    def has_time(one):
        return any(host == "a" and len(points) >= 15 for (host, *_), points in list(one.points.items()))

    for name, one in received.items():
        until(f"{name} has rows", lambda: has_time(one))
        check_values(place, one)
        resource = next(resource for resource in one.resources if resource["host.name"] == "a")
        assert resource["service.name"] == "sysmon" and resource["env"] == "test" and resource["service.instance.id"] == "a", resource
        assert resource["os.type"] == "linux" and resource["os.description"] and resource["host.arch"], resource
        assert one.scopes == {"sysmon"}, one.scopes
        assert one.units["system.memory.usage"] == "By" and one.units["sysmon.host.cpu"] == "1", one.units
        assert 0 < one.begins["system.linux.context_switches"] < begin, one.begins
        assert all(isinstance(value, float) for points in one.points.values() for value in points.values())
    assert received["http"].encodings == {"gzip"}, received["http"].encodings


def check_values(place, received):
    """Every series that is called as in queries: bit for bit, counters by their rates."""
    compared = {"gauge": 0, "counter": 0, "gauge of a device": 0, "counter of a device": 0}
    with received.lock:
        found = {key: dict(points) for key, points in received.points.items() if key[0] == "a"}
    shown = {}
    for (_, metric, attributes), points in found.items():
        if metric.startswith("sysmon."):
            continue
        if metric not in shown:
            series = place.points(metric, "a", "--aggregate", "last")
            shown[metric] = {json.dumps(one, sort_keys=True): dict(points) for one, points in series}
        assert attributes in shown[metric], (metric, attributes, list(shown[metric]))
        of_query = shown[metric][attributes]
        is_counter = metric in received.counters
        whole = [time for time in points if time in of_query and time % 1000 == 0]
        for at in whole:
            if not is_counter:
                assert points[at] == of_query[at], (metric, attributes, at, points[at], of_query[at])
            elif at - 1000 in points:
                assert abs(points[at] - points[at - 1000] - of_query[at]) <= 1e-12 * abs(points[at]), (metric, attributes, at)
        if whole:
            compared[("counter" if is_counter else "gauge") + (" of a device" if attributes != "{}" else "")] += 1
    print("    ", compared)
    assert compared["gauge of a device"] >= 20 and compared["counter of a device"] >= 20, compared
    assert compared["gauge"] >= 8 and compared["counter"] >= 4, compared


def what_they_reject_is_counted(place, received):
    for name, one in received.items():
        one.rejected = 3
        until("it is counted", lambda: destinations(place)[name]["refused"] == {"too old": 3})
        state = destinations(place)[name]
        assert state["state"] == "running", state
        assert place.command("hub", "--state", "hub", "export", "test", name)


def main():
    received = {"grpc": Received(), "http": Received()}
    ports = {"grpc": over_grpc(received["grpc"]), "http": over_http(received["http"])}
    exports = ", ".join(f'{{ name = "{name}", kind = "otlp-{name}", url = "http://127.0.0.1:{port}", labels = {{ env = "test" }} }}' for name, port in ports.items())
    with Place(SYSMON_HUB__EXPORT=f"[{exports}]") as place:
        for check in (both_receive_what_queries_show, what_they_reject_is_counted):
            start = time.monotonic()
            check(place, received)
            print(f"ok   {check.__name__.replace('_', ' ')} ({time.monotonic() - start:.1f} s)", flush=True)


main()
