"""The twins of `otelctx.integrations.asgi`: one HTTP request and its response."""

from otelctx.native.core cimport Link, Request, enter_own, here, restore, span_in, with_span
from otelctx.native.propagation cimport HeaderTexts as Texts
from otelctx.native.propagation cimport echoed_in, entry_span_of

# What the floor below reads best.
HeaderTexts = Texts

cdef bint is_loaded = False
cdef object INVALID_SPAN, SPAN_MARK, ROUTE_MARK, SERVER, answer_500, content_length, default_timer, record


cdef int load() except -1:
    global is_loaded, INVALID_SPAN, SPAN_MARK, SERVER, answer_500, record
    from opentelemetry import trace

    from otelctx.integrations.asgi import response
    from otelctx.propagation import edge

    INVALID_SPAN, SERVER, SPAN_MARK = trace.INVALID_SPAN, trace.SpanKind.SERVER, edge.SPAN_MARK
    answer_500, record = response.answer_500, response.record
    is_loaded = True
    return 0


cdef int load_traced() except -1:
    """Take what only those have who make spans."""
    global ROUTE_MARK, content_length, default_timer
    import timeit

    from otelctx.integrations.asgi import measures, traced_exchange

    load()
    ROUTE_MARK, default_timer = traced_exchange.ROUTE_MARK, timeit.default_timer
    content_length = measures.content_length
    return 0


def with_echo(message, layer):
    cdef list added = echoed_in(layer), headers
    if not added:
        return message
    headers = list(message.get("headers") or ())
    for header, text in added:
        name = (<str>header).encode()
        if not is_there(headers, name):
            headers.append((name, (<str>text).encode()))
    return {**message, "headers": headers}


cdef bint is_there(list headers, bytes wanted) except -1:
    for name, _ in headers:
        if type(name) is bytes and len(<bytes>name) != len(wanted):
            continue
        if bytes(name).lower() == wanted:
            return True
    return False


def send_in(layer, send, message):
    if not is_loaded:
        load()
    context, entry = here(), entry_span_of(layer)
    if entry is INVALID_SPAN or span_in(context).get_span_context()[5]:
        return send(message)
    return send_under(with_span(context, entry), send, message)


async def send_under(context, send, message):
    token = enter_own(context)
    try:
        await send(message)
    finally:
        restore(token)


cdef class Exchange:
    cdef public object _scope
    cdef public object _send
    cdef public Link _layer
    cdef public bint _started
    cdef public object inside

    def __init__(self, scope, send, layer, inside):
        self._scope = scope
        self._send = send
        self._layer = layer
        self.inside = inside

    def send(self, message):
        if message["type"] == "http.response.start":
            self._started = True
            message = with_echo(message, self._layer)
        return send_in(self._layer, self._send, message)

    async def fail(self, error):
        if not self._started:
            record(span_in(here()), error)
            await answer_500(self.send, self._scope)

    def end(self):
        pass


cdef class TracedExchange(Exchange):
    cdef public object span
    cdef object _active, _attributes, _began, _measures, _response_size, _semantics

    def __init__(self, tracer, measures, scope, headers, send, layer, opened):
        cdef Request request
        if ROUTE_MARK is None:
            load_traced()
        self._began = default_timer()
        self._semantics = measures.semantics
        self._measures = measures
        name, attributes = self._semantics.descriptions.of(scope, headers)
        self.span = tracer.start_span(name, opened, SERVER, attributes)
        Exchange.__init__(self, scope, send, layer, with_span(opened, self.span))
        scope[SPAN_MARK] = self.span
        scope[ROUTE_MARK] = {}
        request = self._layer.request
        if request is not None:
            request.entry_span = self.span
        self._active = measures.begin(attributes)
        self._attributes = None if self._active is None else attributes

    def send(self, message):
        kind = message["type"]
        if kind == "http.response.start":
            self._started = True
            self.note(message)
            message = with_echo(message, self._layer)
        sending = self._send(message) if here() is self.inside else send_in(self._layer, self._send, message)
        if kind == "http.response.body" and not message.get("more_body"):
            return self.send_last(sending)
        return sending

    async def send_last(self, sending):
        await sending
        self.span.end()

    cdef int note(self, message) except -1:
        answer = self._semantics.answer(message["status"])
        span = self.span
        if span.is_recording():
            span.set_attributes(answer.attributes)
            if answer.status is not None:
                span.set_status(answer.status)
        if self._attributes is not None:
            self._attributes.update(answer.metric_attributes)
            self._response_size = content_length(message.get("headers"))
        return 0

    async def fail(self, error):
        record(self.span, error)
        if not self._started:
            await answer_500(self.send, self._scope)

    def end(self):
        if self._active is not None and self._attributes is not None:
            seconds = default_timer() - self._began
            size, route = self._response_size, self._scope[ROUTE_MARK]
            self._measures.end(self._active, self._attributes, self._scope, self.inside, seconds, size, route)
        if self.span.is_recording():
            self.span.end()
