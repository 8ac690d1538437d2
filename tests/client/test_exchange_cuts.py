"""A report of an exchange never claims more than the response, at whatever point it is cut."""

import gzip
from collections import Counter

from binance_small_liability import ApiError, OutcomeUnknownError, Receipt
from binance_small_liability.testing import no_waiting

from tests.clients import RunClient, in_turn, run_sync
from tests.wire import Answer, Request, closed, reset, response, serving
from tools.operations import EXCHANGE

REFUSAL = b'{"msg":"No","code":%b}'


def _chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


LIMITED = response(REFUSAL % b"-1003", 429, {"Retry-After": "1"})
# What a server may answer, and how a client reports the whole answer.
REFUSALS = [
    response(REFUSAL % b"-9044"),
    response(REFUSAL % b"-9044.0"),
    response(REFUSAL % b'"-9044"'),
    response(REFUSAL % b"-904400000000000000000"),
    response(b"[" + REFUSAL % b"-9044" + b"]"),
    response(b"\xef\xbb\xbf" + REFUSAL % b"-9044"),
    response(REFUSAL % b"-9044", 400),
    response(b"<html>", 403),
    LIMITED,
    _chunked(REFUSAL % b"-9044"),
]
UNCLEAR = [
    response((REFUSAL % b"-9044").decode().encode("utf-16")),
    response(gzip.compress(REFUSAL % b"-9044"), headers={"Content-Encoding": "gzip"}),
    response(REFUSAL % b"-9044" + b"!"),
    response(REFUSAL % b"-1007", 400),
    response(REFUSAL % b'"-1007"', 400),
    response(REFUSAL % b"-1007.0", 400),
    response(REFUSAL % b"-1007", 400, {"Content-Encoding": "gzip"}),
    response(b"<html>"),
    response(b"", 202),
    response(REFUSAL % b"-1000", 503),
    _chunked(REFUSAL % b"-1007"),
]
ACCEPTANCES = [response(EXCHANGE.body), _chunked(EXCHANGE.body)]
if not EXCHANGE.generated.is_documented:
    ACCEPTANCES += [response(b""), response(b" "), response([{}])]


def _ends(answer: bytes) -> set[int]:
    """Where a response is cut for every client: within and after the head, and at its end."""
    body = answer.index(b"\r\n\r\n") + 4
    is_chunked = b"chunked" in answer
    tail = range(len(answer) - 8, len(answer)) if is_chunked else [len(answer) - 1]
    return {0, 10, body - 3, body, *tail} - {len(answer)}


def test_a_report_never_claims_more_than_the_answer(client: RunClient) -> None:
    truths = {ApiError: REFUSALS, OutcomeUnknownError: UNCLEAR, Receipt: ACCEPTANCES}
    # Each exchange has another asset, whose number is its place in this list.
    plan: list[tuple[Answer, type]] = []
    for truth, answers in truths.items():
        for answer in answers:
            plan.append((answer, truth))
            ends = _ends(answer)
            plan += [(reset(answer[:end]), OutcomeUnknownError) for end in ends]
            if client is run_sync:  # one client is enough for all other places
                ends.update(range(answer.index(b"\r\n\r\n") + 4, len(answer)))
            plan += [(closed(answer[:end]), OutcomeUnknownError) for end in ends]

    def answer_to(request: Request) -> Answer:
        return plan[int(dict(request.query)["assetNames"])][0]

    steps = [lambda c, asset=str(number): c.exchange([asset]) for number in range(len(plan))]
    with no_waiting(), serving(answer_to) as server:
        reports = client(in_turn(*steps), base_url=server.url)
    for (sent, truth), report in zip(plan, reports, strict=True):
        assert isinstance(report, truth), (sent, report)
    repeated = Counter(dict(request.query)["assetNames"] for request in server.requests)
    limited = {str(number) for number, (sent, _) in enumerate(plan) if sent == LIMITED}
    assert {asset for asset, requests in repeated.items() if requests > 1} == limited
