"""One look at a process's probes, without a client library: short, synchronous, never an exception."""

import http.client


def healthy(port: int, *, timeout_s: float = 1.0) -> bool:
    """Whether `/healthz` and `/readyz` on 127.0.0.1 both say yes."""
    return all(_answers_ok(port, path, timeout_s) for path in ("/healthz", "/readyz"))


def _answers_ok(port: int, path: str, timeout_s: float) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
