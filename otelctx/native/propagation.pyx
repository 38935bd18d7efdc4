"""
The twins of `otelctx.propagation`: one message read, and one written.

They serve messages as nearly all of them are. Whatever else comes goes to the Python source, before anything was done.
"""

from cpython.contextvars cimport PyContextVar_Get
from cpython.dict cimport PyDict_Check, PyDict_Contains, PyDict_DelItem, PyDict_GetItemWithError, PyDict_SetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF

from otelctx.native.core cimport (
    Link,
    Request,
    baggage_of,
    blank_context,
    declared_now,
    fits,
    here,
    layer_here,
    layer_in,
    new_layer,
    new_request,
    span_in,
    span_key,
    with_layer,
    with_span,
)

cdef extern from *:
    """
    /* What a character may be in a header: 1 in a key, 2 in a value of baggage that is its own encoding. */
    static unsigned char otelctx_kinds[256];
    static void otelctx_know_kinds(void) {
        const char *token = "!#$%&'*+.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-";
        int c;
        for (; *token; token++) otelctx_kinds[(unsigned char)*token] |= 1;
        for (c = 0x21; c < 0x7f; c++)
            if (c != '"' && c != ',' && c != ';' && c != '\\\\' && c != '%') otelctx_kinds[c] |= 2;
    }
    static int otelctx_hex(Py_UCS1 c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    }
    /* Reads count lower-case hexadecimal digits; what is read, or -1 where there are others. */
    static int otelctx_number(const Py_UCS1 *digits, int count, unsigned long long *number) {
        int i, digit;
        unsigned long long read = 0;
        for (i = 0; i < count; i++) {
            if ((digit = otelctx_hex(digits[i])) < 0) return -1;
            read = read << 4 | (unsigned long long)digit;
        }
        *number = read;
        return 0;
    }
    /* The number of 32 digits, whose halves were read. */
    static PyObject *otelctx_of_halves(unsigned long long high, unsigned long long low) {
    #if PY_VERSION_HEX >= 0x030D0000
        unsigned char bytes[16];
        int place;
        for (place = 0; place < 8; place++) {
            bytes[place] = (unsigned char)(high >> (8 * (7 - place)));
            bytes[8 + place] = (unsigned char)(low >> (8 * (7 - place)));
        }
        return PyLong_FromUnsignedNativeBytes(bytes, 16, Py_ASNATIVEBYTES_BIG_ENDIAN);
    #else
        PyObject *upper = PyLong_FromUnsignedLongLong(high), *lower = PyLong_FromUnsignedLongLong(low);
        PyObject *by = PyLong_FromLong(64), *shifted = NULL, *number = NULL;
        if (upper != NULL && lower != NULL && by != NULL && (shifted = PyNumber_Lshift(upper, by)) != NULL)
            number = PyNumber_Or(shifted, lower);
        Py_XDECREF(upper); Py_XDECREF(lower); Py_XDECREF(by); Py_XDECREF(shifted);
        return number;
    #endif
    }
    static void otelctx_digits(char *into, unsigned long long number, int count) {
        while (count--) { into[count] = "0123456789abcdef"[number & 15]; number >>= 4; }
    }
    static PyObject *otelctx_from_tuple(PyObject *type, PyObject *values) {
        PyObject *made, *arguments = PyTuple_Pack(1, values);
        if (arguments == NULL) return NULL;
        made = PyTuple_Type.tp_new((PyTypeObject *)type, arguments, NULL);
        Py_DECREF(arguments);
        return made;
    }
    """
    unsigned char kinds "otelctx_kinds"[256]
    void know_kinds "otelctx_know_kinds"()
    int number_of "otelctx_number"(const unsigned char *digits, int count, unsigned long long *number) noexcept
    object of_halves "otelctx_of_halves"(unsigned long long high, unsigned long long low)
    void write_digits "otelctx_digits"(char *into, unsigned long long number, int count) noexcept
    object from_tuple "otelctx_from_tuple"(object type, tuple values)
    bint is_ascii "PyUnicode_IS_COMPACT_ASCII"(object text) noexcept
    const unsigned char *characters_of "PyUnicode_1BYTE_DATA"(object text) noexcept
    Py_ssize_t length_of "PyUnicode_GET_LENGTH"(object text) noexcept
    object text_of "PyUnicode_FromKindAndData"(int kind, const void *characters, Py_ssize_t length)
    unsigned long long low_bits "PyLong_AsUnsignedLongLongMask"(object number) except? 0xFFFFFFFFFFFFFFFF

know_kinds()

# Section 3.3.2 of W3C Baggage, as in grammar.py.
cdef enum:
    MAX_MEMBERS = 64
    MAX_BYTES = 8192
    LENGTH_OF_TRACEPARENT = 55

# What was believed last, which is frozen; most messages come from the same peers.
cdef tuple last_trust = (None, False, None)

cdef bint is_loaded = False
cdef object received_slowly, sent_slowly, reader_of, names, form_of, undirected, tell_left_out
cdef object CONTINUE, PEER_KEY, MARK, DefaultGetter, DefaultSetter, SpanContext, NonRecordingSpan, NO_STATE, INVALID
cdef object current_passage, into_passage
cdef object CONNECTED, UNIX, sender_slowly, opened_slowly, echoed_slowly, get_global_textmap, INVALID_SPAN, ABSENT, wire_text
cdef dict ingress_module, sealing_module, crossing_module
cdef tuple FORWARDED, FLAGS
cdef str TRACEPARENT, TRACESTATE, BAGGAGE

# Of what is declared: the name of each remote field by its key, and headers with the names and keys of their fields.
cdef object known = None
cdef dict names_by_key = {}
cdef list headers_of_fields = []
cdef tuple wanted = ()
cdef list echoed = []
cdef bint is_redacted = False
cdef object wanted_bytes = None


cdef int load() except -1:
    global is_loaded, received_slowly, sent_slowly, reader_of, names, form_of, undirected, tell_left_out
    global CONTINUE, PEER_KEY, MARK, DefaultGetter, DefaultSetter, SpanContext, NonRecordingSpan, NO_STATE, INVALID
    global current_passage, ingress_module, sealing_module, FORWARDED, FLAGS, TRACEPARENT, TRACESTATE, BAGGAGE
    global into_passage, sender_slowly, opened_slowly, echoed_slowly, get_global_textmap, INVALID_SPAN, ABSENT, wire_text
    global crossing_module, CONNECTED, UNIX
    from opentelemetry import propagate, trace
    from opentelemetry.propagators import textmap

    from otelctx.core import layers, values
    from otelctx.native import TWINS
    from otelctx.propagation import (
        carriers, crossing, edge, forms, forwarded, ingress, overflow, passage, peers, sealing, trace_context, unknown
    )

    received_slowly = TWINS["otelctx.propagation.receiving.received"][0]
    sent_slowly = TWINS["otelctx.propagation.sending.sent"][0]
    sender_slowly = TWINS["otelctx.propagation.crossing.sender"][0]
    opened_slowly = TWINS["otelctx.propagation.edge.opened_at"][0]
    echoed_slowly = TWINS["otelctx.propagation.edge.echoed_headers"][0]
    get_global_textmap, INVALID_SPAN = propagate.get_global_textmap, trace.INVALID_SPAN
    CONNECTED, UNIX = peers.CONNECTED, peers.UNIX
    ABSENT, wire_text, crossing_module = layers.ABSENT, values.wire_text, vars(crossing)
    reader_of, names = peers.reader_of, carriers.names
    form_of, undirected, tell_left_out = forms.form_of, unknown.undirected, overflow.tell_left_out
    FLAGS = trace_context.FLAGS
    CONTINUE, PEER_KEY, MARK = ingress.Mode.CONTINUE, peers.PEER_KEY, edge.MARK
    DefaultGetter, DefaultSetter = textmap.DefaultGetter, textmap.DefaultSetter
    SpanContext, NonRecordingSpan, NO_STATE = trace.SpanContext, trace.NonRecordingSpan, trace.DEFAULT_TRACE_STATE
    INVALID = trace.INVALID_SPAN_CONTEXT
    current_passage, into_passage, FORWARDED = passage.CURRENT, passage.into_passage, forwarded.HEADERS
    ingress_module, sealing_module = vars(ingress), vars(sealing)
    TRACEPARENT, TRACESTATE, BAGGAGE = trace_context.TRACEPARENT, trace_context.TRACESTATE, carriers.BAGGAGE
    is_loaded = True
    return 0


cdef object declarations():
    """Return what is declared now, and know its indexes."""
    global echoed, is_redacted, known, names_by_key, headers_of_fields, wanted, wanted_bytes
    if not is_loaded:
        load()
    now = declared_now()
    if now is not known:
        of = names(now)
        by_key = {key: field.name for key, field in now.by_key.items()}
        of_fields = [(header, field.name, field.baggage_key) for header, field in now.headers.items()]
        with_header = [(field.name, field.header) for field in now.echoed if field.header]
        redacts = bool(now.on_wire.hidden or now.on_wire.altered)
        # All at once, and what it is of last: what was asked above may let another thread in.
        names_by_key, headers_of_fields, wanted, wanted_bytes = by_key, of_fields, of.sent, of.in_bytes
        echoed, is_redacted, known = with_header, redacts, now
    return now


cdef class HeaderTexts:
    def __init__(self, scope):
        given = scope.get("headers") or ()
        if not isinstance(given, (list, tuple)):
            scope["headers"] = given = [*given]
        cdef dict one = {}
        cdef Py_ssize_t count = 0
        cdef bint are_lower = True
        for name, value in given:
            count += 1
            are_lower = are_lower and type(name) is bytes and is_lower(<bytes>name)
            one[name] = value
        self._one = one
        self._all = None
        if not are_lower or len(one) != count:
            self._all = several = {}
            for name, value in given:
                several.setdefault(name.lower(), []).append(value)

    def values(self, name):
        if self._all is not None:
            return self._all.get(name, ())
        value = self._one.get(name)
        return () if value is None else (value,)

    def otelctx_headers(self, wanted):
        cdef dict found = {}
        of = self._one if self._all is None else self._all
        for key, name in wanted.items():
            value = of.get(key)
            if value is not None:
                texts = [value] if self._all is None else value
                found[name] = [text.decode("latin-1") for text in texts]
        return found


cdef bint is_lower(bytes name) noexcept:
    cdef const unsigned char *characters = name
    cdef Py_ssize_t place
    for place in range(len(name)):
        if b"A" <= characters[place] <= b"Z":
            return False
    return True


cdef dict headers_in(object carrier, object getter):
    """Return a dict with the one text of each header that matters; None where *carrier* is not read so easily."""
    cdef dict found = {}
    cdef PyObject *value
    kind = type(getter)
    if kind is DefaultGetter:
        if type(carrier) is not dict:
            return None
        for name in wanted:
            value = PyDict_GetItemWithError(carrier, name)
            if value is NULL:
                continue
            if type(<object>value) is not str:
                return None
            # Not from the carrier again, which another thread may write to meanwhile.
            found[name] = <object>value
        return found
    if isinstance(getter, HeaderTexts) and (<HeaderTexts>getter)._all is None:
        for key, name in (<dict>wanted_bytes).items():
            value = PyDict_GetItemWithError((<HeaderTexts>getter)._one, key)
            if value is not NULL:
                text = <object>value
                if type(text) is not bytes:
                    return None
                found[name] = (<bytes>text).decode("latin-1")
        return found
    read = getattr(kind, "otelctx_headers", None)
    if read is None:
        return None
    for name, texts in (<dict?>read(getter, wanted_bytes)).items():
        if len(<list?>texts) != 1 or type((<list>texts)[0]) is not str:
            return None
        found[name] = (<list>texts)[0]
    return found


cdef object believed(object carrier, object context, object reader, dict headers):
    """Return what is believed of whom *carrier* came from, or None where that takes more than a look."""
    policy = ingress_module["_active"]
    cdef PyObject *found = PyDict_GetItemWithError(context, PEER_KEY)
    if found is not NULL:
        named = <object>found
        return (<dict>policy._named).get(named) if type(named) is str else None
    if reader is None:
        return policy.of_unknown
    for header in FORWARDED:
        if header in headers:
            return None
    peer = reader(carrier)
    return (<dict>policy._at).get(peer) if type(peer) is str else None


cdef tuple known_trust(object trust):
    """Return *trust*, whether all that it lets in continues as it came, and the fields that it lets in."""
    global last_trust
    cdef tuple known = last_trust
    if known[0] is not trust:
        is_whole = trust.trace is CONTINUE and trust.baggage is CONTINUE and not trust.sealed
        known = last_trust = (trust, is_whole, trust.fields)
    return known


cdef object remote_span(str text):
    """Return the span that a plain ``traceparent`` names, or None."""
    cdef const unsigned char *at
    cdef unsigned long long high, low, span_id, flags
    if not is_ascii(text) or length_of(text) != LENGTH_OF_TRACEPARENT:
        return None
    at = characters_of(text)
    if at[0] != b"0" or at[1] != b"0" or at[2] != b"-" or at[35] != b"-" or at[52] != b"-":
        return None
    if (
        number_of(at + 3, 16, &high) < 0
        or number_of(at + 19, 16, &low) < 0
        or number_of(at + 36, 16, &span_id) < 0
        or number_of(at + 53, 2, &flags) < 0
        or (high == 0 and low == 0)
        or span_id == 0
    ):
        return None
    return NonRecordingSpan(from_tuple(SpanContext, (of_halves(high, low), span_id, True, FLAGS[<Py_ssize_t>flags], NO_STATE, True)))


cdef bint read_members(str header, object allowed, dict values, dict carried) except -1:
    """Add what the ``baggage`` *header* says, and tell whether it is plain, and all of it is accepted as it is."""
    cdef const unsigned char *at
    cdef Py_ssize_t length = length_of(header), key, equals, end = -1, members = 0
    cdef PyObject *found
    if not is_ascii(header) or length > MAX_BYTES:
        return False
    at = characters_of(header)
    while end < length:
        key = end + 1
        equals = key
        while equals < length and kinds[at[equals]] & 1:
            equals += 1
        if equals == key or equals == length or at[equals] != b"=":
            return False
        end = equals + 1
        while end < length and kinds[at[end]] & 2:
            end += 1
        if end < length and at[end] != b",":
            return False
        members += 1
        if members > MAX_MEMBERS:
            return False
        name = text_of(1, at + key, equals - key)
        text = text_of(1, at + equals + 1, end - equals - 1)
        found = PyDict_GetItemWithError(names_by_key, name)
        if found is NULL:
            if allowed is not None or name in carried:
                return False
            carried[name] = text
            continue
        field = <object>found
        if field in values or not text or not fits(field, text):
            return False
        if allowed is not None and field not in allowed and name not in allowed:
            return False
        values[field] = text
    return True


cdef bint read_headers(dict headers, object allowed, dict values) except -1:
    """Add what the headers of fields say, and tell whether all of it is accepted as it is."""
    cdef PyObject *found
    for header, field, key in headers_of_fields:
        found = PyDict_GetItemWithError(headers, header)
        if found is NULL:
            continue
        if allowed is not None and field not in allowed and key not in allowed:
            return False
        text = (<str>found).strip(" \t")
        if text and values.get(field) != text:
            if not fits(field, text):
                return False
            values[field] = text
    return True


def received(carrier, context, getter, others, *, w3c):
    try:
        declarations()
        opened = read(carrier, context, getter) if w3c and not others else None
    except Exception:
        # Other people's code, which is asked again, by who reports it.
        opened = None
    return received_slowly(carrier, context, getter, others, w3c=w3c) if opened is None else opened


cdef object read(object carrier, object context, object getter):
    """Return the Context that *carrier* brings, or None where it is not a plain one, and nothing was done."""
    cdef dict values = {}, carried = {}, headers
    cdef PyObject *text
    if sealing_module["_active"] is not None or (type(carrier) is dict and MARK in <dict>carrier):
        return None
    if context is None:
        context = blank_context()
    elif not PyDict_Check(context) or baggage_of(context) is not None:
        return None
    reader = None if type(getter) is DefaultGetter else reader_of(type(getter))
    headers = headers_in(carrier, getter)
    trust = None if headers is None else believed(carrier, context, reader, headers)
    if trust is None:
        return None
    _, is_whole, allowed = known_trust(trust)
    if not is_whole:
        return None
    span = None
    text = PyDict_GetItemWithError(headers, TRACEPARENT)
    if text is not NULL:
        span = None if TRACESTATE in headers else remote_span(<str>text)
        if span is None:
            return None
    text = PyDict_GetItemWithError(headers, BAGGAGE)
    if text is not NULL and not read_members(<str>text, allowed, values, carried):
        return None
    if not read_headers(headers, allowed, values):
        return None
    layer = new_layer(new_request(values, carried, None), None, None)
    result = with_layer(context, layer)
    if span is not None:
        PyDict_SetItem(result, span_key(), span)
    if PyDict_Contains(result, PEER_KEY):
        PyDict_DelItem(result, PEER_KEY)
    return result


def sender():
    cdef PyObject *found
    declarations()
    found = PyDict_GetItemWithError(crossing_module, "_sender")
    kept = None if found is NULL else <object>found
    if kept is None or (<tuple>kept)[0] is not get_global_textmap() or (<tuple>kept)[1] is not known:
        return sender_slowly()
    return kept


def propagator():
    return (<tuple>sender())[2]


def scope_peer(scope):
    if not is_loaded:
        load()
    client = scope[CONNECTED] if CONNECTED in scope else scope.get("client")
    if client:
        return str(client[0])
    server = scope.get("server")
    return UNIX if server and server[1] is None else None


def opened_at(carrier, extracted):
    declarations()
    layer = layer_in(extracted)
    if layer is None or (<Link>layer).request is None:
        return opened_slowly(carrier, extracted)
    (<Link>layer).request.served = True
    carrier[MARK] = extracted
    return layer, extracted


def without_span(opened):
    declarations()
    return with_span(opened, INVALID_SPAN)


cpdef object entry_span_of(object layer):
    if not is_loaded:
        load()
    cdef Request request = (<Link?>layer).request
    return INVALID_SPAN if request is None else request.entry_span


cdef list echoed_in(Link layer):
    """Return the headers that a response carries, name and text."""
    cdef list headers = []
    declarations()
    if is_redacted:
        return echoed_slowly(layer)
    for name, header in echoed:
        value = layer.find(name)
        if value is None or value is ABSENT:
            continue
        text = value if type(value) is str else wire_text(value)
        if type(text) is not str:
            return echoed_slowly(layer)
        if is_visible(text):
            headers.append((header, text))
    return headers


cdef bint is_visible(str text) noexcept:
    cdef const unsigned char *at
    cdef Py_ssize_t place, length = length_of(text)
    if length == 0 or not is_ascii(text):
        return False
    at = characters_of(text)
    for place in range(length):
        if at[place] < 0x20 or at[place] > 0x7E:
            return False
    return at[0] != b" " and at[length - 1] != b" "


def echoed_headers(layer):
    return echoed_in(layer)


cdef object traceparent(object trace_id, object span_id, unsigned char flags):
    cdef char text[LENGTH_OF_TRACEPARENT]
    text[0] = text[1] = b"0"
    text[2] = text[35] = text[52] = b"-"
    write_digits(text + 3, low_bits(trace_id >> 64), 16)
    write_digits(text + 19, low_bits(trace_id), 16)
    write_digits(text + 36, low_bits(span_id), 16)
    write_digits(text + 53, flags, 2)
    return text_of(1, text, LENGTH_OF_TRACEPARENT)


cdef int write(object carrier, object setter, object passage, str name, object text) except -1:
    """Write one header, whose *name* is in lower case, as the setter of `outbound` does."""
    if setter is into_passage:
        if name not in carrier.by_hand:
            carrier.written[name] = text
        return 0
    if passage is not None:
        if name in passage.by_hand:
            return 0
        passage.written[name] = text
    if type(carrier) is dict and type(setter) is DefaultSetter:
        PyDict_SetItem(carrier, name, text)
    else:
        setter.set(carrier, name, text)
    return 0


cdef object form_in(Link layer, object decision, object now):
    """Return what is written of *layer* under *decision*: what was made last, if nothing has changed since."""
    cdef Request request = layer.request
    if (
        request is not None
        and request.sent is not None
        and layer.parent is None
        and not layer.bound
        and not layer.members
        and sealing_module["_active"] is None
    ):
        version, declared, fields, form = <tuple>request.sent
        if version is request.version and declared is now and fields is decision.fields:
            return form
    return form_of(layer, decision)


def sent(carrier, context, setter, others):
    cdef PyObject *found = NULL
    now = declarations()
    PyContextVar_Get(current_passage, NULL, &found)
    passage = None if found is NULL else <object>found
    Py_XDECREF(found)
    if passage is not None and not passage.is_open:
        passage = None
    place = here() if context is None else context
    if others or not PyDict_Check(place):
        return sent_slowly(carrier, context, setter, others)
    own = span_in(place).get_span_context()
    if type(own) is not SpanContext:
        return sent_slowly(carrier, context, setter, others)
    trace_id, span_id, _, flags, state, is_valid = <tuple>own
    if own != INVALID and not (is_valid and 0 <= flags <= 0xFF):
        return sent_slowly(carrier, context, setter, others)
    decision = undirected() if passage is None else passage.decision
    if not decision.trace:
        return None
    if is_valid:
        write(carrier, setter, passage, TRACEPARENT, traceparent(trace_id, span_id, flags))
        if state is not NO_STATE and state:
            write(carrier, setter, passage, TRACESTATE, state.to_header())
    layer = layer_here(place) if context is None else layer_in(place)
    if layer is not None:
        header, headers, left_out = form_in(layer, decision, now)
        if header:
            write(carrier, setter, passage, BAGGAGE, header)
        for name, text in headers:
            write(carrier, setter, passage, name, text)
        if left_out:
            tell_left_out(left_out, context)
    return None
