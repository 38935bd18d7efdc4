"""The twins of `otelctx.integrations.asgi`: one HTTP request and its response."""

from cpython.dict cimport PyDict_GetItemWithError, PyDict_SetItem, PyDict_Update
from cpython.object cimport PyObject

from otelctx.native.core cimport Link, Request, here, span_in, with_span
from otelctx.native.propagation cimport HeaderTexts as Texts
from otelctx.native.propagation cimport echoed_in, entry_span_of

# What the floor below reads best.
HeaderTexts = Texts

cdef extern from *:
    """
    /* A path that is written into a URL as it is: /[0-9A-Za-z/_.~-]* */
    static int otelctx_is_simple_path(PyObject *path) {
        Py_ssize_t place, length;
        const Py_UCS1 *characters;
        if (!PyUnicode_CheckExact(path) || !PyUnicode_IS_COMPACT_ASCII(path)) return 0;
        length = PyUnicode_GET_LENGTH(path);
        characters = PyUnicode_1BYTE_DATA(path);
        if (length == 0 || characters[0] != '/') return 0;
        for (place = 0; place < length; place++) {
            Py_UCS1 c = characters[place], letter = c | 0x20;
            if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '/' && c != '_' && c != '.'
                && c != '~' && c != '-') return 0;
        }
        return 1;
    }
    static PyObject *otelctx_empty(PyObject *type) {
        PyObject *made, *no_arguments = PyTuple_New(0);
        if (no_arguments == NULL) return NULL;
        made = ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, no_arguments, NULL);
        Py_DECREF(no_arguments);
        return made;
    }
    """
    bint is_simple_path "otelctx_is_simple_path"(object path) noexcept
    object empty "otelctx_empty"(object type)

cdef bint is_loaded = False
cdef object SpanContext, send_under, send_last
cdef object Clean, INVALID_SPAN, SPAN_MARK, ROUTE_MARK, SERVER, answer_500, content_length, default_timer, record


cdef int load() except -1:
    global is_loaded, INVALID_SPAN, SPAN_MARK, SERVER, SpanContext, answer_500, record, send_under
    from opentelemetry import trace

    from otelctx.integrations.asgi import response
    from otelctx.propagation import edge

    INVALID_SPAN, SERVER, SPAN_MARK = trace.INVALID_SPAN, trace.SpanKind.SERVER, edge.SPAN_MARK
    answer_500, record = response.answer_500, response.record
    # Written in Python: to `inspect`, and so to some frameworks, a compiled coroutine is none.
    SpanContext, send_under = trace.SpanContext, response.send_under
    is_loaded = True
    return 0


cdef int load_traced() except -1:
    """Take what only those have who make spans."""
    global Clean, ROUTE_MARK, content_length, default_timer, send_last
    import timeit

    from otelctx.integrations.asgi import measures, traced_exchange
    from otelctx.signals import clean

    load()
    Clean = clean.Clean
    default_timer, content_length = timeit.default_timer, measures.content_length
    send_last, ROUTE_MARK = traced_exchange.send_last, traced_exchange.ROUTE_MARK
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
    cdef bint found = False
    for name, _ in headers:
        if type(name) is bytes and len(<bytes>name) != len(wanted):
            continue
        if bytes(name).lower() == wanted:
            found = True  # and no return: what is no header raises, wherever it stands
    return found


def send_in(layer, send, message):
    if not is_loaded:
        load()
    context, entry = here(), entry_span_of(layer)
    if entry is INVALID_SPAN or is_valid(span_in(context).get_span_context()):
        return send(message)
    return send_under(with_span(context, entry), send, message)


cdef bint is_valid(object own) except -1:
    return (<tuple>own)[5] if type(own) is SpanContext else own.is_valid


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


cdef object description(object known, object scope, object headers):
    """Return what ``known.of(scope, headers)`` does."""
    made = described(known, scope, headers) if isinstance(headers, Texts) and type(scope) is dict else None
    return known.of(scope, headers) if made is None else made


cdef object described(object known, dict scope, Texts headers):
    """Return a description of a kind that is known already, or None."""
    cdef PyObject *found
    cdef object attributes
    if headers._all is not None or scope.get("query_string") or not is_simple_path(scope["path"]):
        return None
    path, client, server = scope["path"], scope.get("client"), scope.get("server")
    host, agent = headers._one.get(b"host"), headers._one.get(b"user-agent")
    kind_key = (scope.get("method"), scope.get("scheme"), scope.get("http_version"))
    kind_key += (None if server is None else tuple(server),)
    kind_key += (client is None,) if host is None else (host, client is None)
    kind = (<dict>known._kinds).get(kind_key)
    if kind is None or not kind.is_usable:
        return None
    attributes = empty(Clean)
    PyDict_Update(attributes, kind._common)
    for name in <tuple>kind._paths:
        PyDict_SetItem(attributes, name, path)
    for name, before in <tuple>kind._urls:
        PyDict_SetItem(attributes, name, before + path)
    if client is not None:
        if len(client) != 2:
            return None
        address, port = client
        if type(address) is not str or not address or type(port) is not int or not port:
            return None
        for name in <tuple>kind._clients:
            PyDict_SetItem(attributes, name, address)
        for name in <tuple>kind._ports:
            PyDict_SetItem(attributes, name, port)
    if agent is not None:
        found = PyDict_GetItemWithError(known._agents, agent)
        if found is NULL:
            return None
        PyDict_Update(attributes, <object>found)
    return kind.name + path, attributes


cdef object began(object measures, object attributes):
    """Return what ``measures.begin(attributes)`` does: nothing, while no provider has made the instruments."""
    if not measures._are_kept:
        for instrument in <tuple>measures._asked:
            if getattr(instrument, "_real_instrument", instrument) is not None:
                return measures.begin(attributes)
        return None
    return measures.begin(attributes)


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
        name, attributes = description(self._semantics.descriptions, scope, headers)
        self.span = tracer.start_span(name, opened, SERVER, attributes)
        Exchange.__init__(self, scope, send, layer, with_span(opened, self.span))
        scope[SPAN_MARK] = self.span
        scope[ROUTE_MARK] = {}
        request = self._layer.request
        if request is not None:
            request.entry_span = self.span
        self._active = began(measures, attributes)
        self._attributes = None if self._active is None else attributes

    def send(self, message):
        kind = message["type"]
        if kind == "http.response.start":
            self._started = True
            self.note(message)
            message = with_echo(message, self._layer)
        sending = self._send(message) if here() is self.inside else send_in(self._layer, self._send, message)
        if kind == "http.response.body" and not message.get("more_body"):
            return send_last(self.span, sending)
        return sending

    cdef int note(self, message) except -1:
        status = message["status"]
        answer = (<dict>self._semantics._answers).get(status) if type(status) is int else None
        if answer is None:
            answer = self._semantics.answer(status)
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
