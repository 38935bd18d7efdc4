"""The twins of `otelctx.signals`: stamps of log records, spans, and their attributes."""

from functools import wraps

from cpython.dict cimport PyDict_Check, PyDict_CheckExact, PyDict_Copy, PyDict_GetItemWithError, PyDict_Merge, PyDict_SetItem
from cpython.object cimport PyObject
from cpython.set cimport PySet_Contains

from otelctx.native.core cimport Link, Request, baggage_of, declared_now, is_layer, raw_context, span_in

cdef extern from *:
    """
    static PyObject *otelctx_hex(unsigned long long high, unsigned long long low, int digits) {
        static const char of[] = "0123456789abcdef";
        PyObject *text = PyUnicode_New(digits, 127);
        Py_UCS1 *to;
        if (text == NULL) return NULL;
        to = PyUnicode_1BYTE_DATA(text);
        while (digits > 16) { digits--; to[digits] = of[low & 15]; low >>= 4; if (digits == 16) low = high; }
        while (digits > 0) { digits--; to[digits] = of[low & 15]; low >>= 4; }
        return text;
    }
    """
    object hex_digits "otelctx_hex"(unsigned long long high, unsigned long long low, int digits)
    unsigned long long PyLong_AsUnsignedLongLong(object number) except? -1
    unsigned long long PyLong_AsUnsignedLongLongMask(object number) except? -1
    bint PyLong_CheckExact(object number) noexcept
    int PyObject_GenericSetAttr(object owner, object name, object value) except -1

cdef bint is_loaded = False
cdef object GeneratorContext, SPAN_KEY, attribute_value, new_stamps, LogRecord, ROOT, WRITE, bridge, lay_out
cdef dict kinds_of_handlers, logging_module
cdef frozenset OWN
cdef dict NO_NAMES = {}
cdef object SHIFT = 64
cdef tuple FLAGS = tuple([f"{number:02x}" for number in range(256)])


cdef int load() except -1:
    """Take what Python has, when it is first needed: this is imported before all of it."""
    global is_loaded, GeneratorContext, SPAN_KEY, attribute_value, new_stamps, OWN
    global LogRecord, ROOT, WRITE, bridge, kinds_of_handlers, logging_module, lay_out
    import logging

    from otelctx.core import generator_context, values
    from otelctx.core import here as of_here
    from otelctx.signals import log_bridge, log_records

    GeneratorContext, SPAN_KEY = generator_context.GeneratorContext, of_here.SPAN_KEY
    attribute_value = values.attribute_value
    new_stamps, OWN = log_records.new_stamps, log_records.OWN
    LogRecord, ROOT, logging_module = logging.LogRecord, logging.root, vars(logging)
    lay_out = log_records.lay_out
    kinds_of_handlers, WRITE, bridge = log_bridge.kinds, log_bridge.Does.WRITE, log_bridge.bridge
    is_loaded = True
    return 0


cdef inline int loaded() except -1:
    if not is_loaded:
        load()
    return 0


cdef object got(object context, object key):
    """Return what *context* has under *key*, or None."""
    cdef PyObject *found
    if not PyDict_Check(context):
        return context.get(key)
    found = PyDict_GetItemWithError(context, key)
    return None if found is NULL else <object>found


# What is shown of fields.

cdef class Showing:
    """A view of fields, read once."""

    cdef object view, hidden, only
    cdef dict names, altered


cdef object declared = None
cdef Showing in_logs, in_spans


cdef Showing showing(object view):
    cdef Showing made = Showing()
    made.view, made.hidden, made.only = view, view.hidden, view.only
    made.names, made.altered = dict(view.names), dict(view.altered)
    return made


cdef int look() except -1:
    """Have the views of what is declared now."""
    global declared, in_logs, in_spans
    now = declared_now()
    if now is not declared:
        in_logs, in_spans = showing(now.in_logs), showing(now.in_spans)
        declared = now
    return 0


cdef int show(dict shown, dict values, Showing view, dict names, object hashes) except -1:
    """Put into *shown* what *view* shows of *values*, which nobody else has, by *names* or their own."""
    cdef PyObject *found
    for name, value in values.items():
        if type(value) is not str:
            value = attribute_value(value)
        if value is None or name in view.hidden or (view.only is not None and name not in view.only):
            continue
        found = PyDict_GetItemWithError(names, name)
        PyDict_SetItem(shown, name if found is NULL else <object>found, value)
    if view.altered:
        for name, alter in view.altered.items():
            attribute = names.get(name, name)
            clear = shown.get(attribute)
            if clear is not None:
                shown[attribute] = alter(clear, hashes)
    return 0


# Log records.

cdef object hex_of(object number, int digits):
    if PyLong_CheckExact(number):
        try:
            high = 0 if digits == 16 else number >> SHIFT
            low = PyLong_AsUnsignedLongLongMask(number) if digits > 16 else PyLong_AsUnsignedLongLong(number)
            return hex_digits(PyLong_AsUnsignedLongLong(high), low, digits)
        except OverflowError:
            pass  # who makes a SpanContext past its constructor may put anything into it
    return f"{number:0{digits}x}"


def made_stamps(dict values, view, hashes, context):
    cdef dict stamped
    loaded()
    look()
    stamped = PyDict_Copy(declared.stamped)
    show(stamped, values, in_logs if view is in_logs.view else showing(view), NO_NAMES, hashes)
    own = None
    for name in stamped:
        if PySet_Contains(OWN, name):
            own = OWN.intersection(stamped)
            break
    if own is not None:
        for name in own:
            del stamped[name]
    trace_id, span_id, _, flags, _, is_valid = span_in(context).get_span_context()
    if is_valid:
        stamped["trace_id"] = hex_of(trace_id, 32)
        stamped["span_id"] = hex_of(span_id, 16)
        stamped["trace_flags"] = FLAGS[flags] if 0 <= flags < 256 else f"{flags:02x}"
    else:
        stamped["trace_id"] = stamped["span_id"] = stamped["trace_flags"] = None
    return stamped


cpdef object stamps():
    cdef Link layer
    cdef Request request
    cdef tuple kept
    loaded()
    context = raw_context()
    if type(context) is GeneratorContext:
        context = context.seen_from_here()
    found = baggage_of(context)
    if not is_layer(found):
        return new_stamps(context)
    layer = <Link>found
    if type(layer.request) is not Request or layer.bound or layer.parent is not None:
        return new_stamps(context)
    request = layer.request
    look()
    view, span = in_logs.view, got(context, SPAN_KEY)
    kept = request.stamped
    if kept is not None and kept[0] is request.version and kept[1] is view and kept[2] is span:
        return kept[3]
    version = request.version
    made = made_stamps(PyDict_Copy(request.values), view, request.hashes, context)
    request.stamped = (version, view, span, made)
    return made


def stamping(original):
    loaded()
    lay_out()

    @wraps(original)
    def makeRecord(self, name, level, fn, lno, msg, args, exc_info, func=None, extra=None, sinfo=None):
        record = original(self, name, level, fn, lno, msg, args, exc_info, func, extra, sinfo)
        added = stamps()
        if extra is None and type(record) is LogRecord and type(added) is dict and logging_module.get("_logRecordFactory") is LogRecord:
            # It has nothing yet but what each has. To ask for its dict would make one.
            for name, value in (<dict>added).items():
                PyObject_GenericSetAttr(record, name, value)
            return record
        has = record.__dict__
        if PyDict_CheckExact(has) and type(added) is dict:
            PyDict_Merge(has, added, 0)
        else:
            for name, value in added.items():
                has.setdefault(name, value)
        return record

    return makeRecord


def bridging(original):
    loaded()

    @wraps(original)
    def callHandlers(self, record):
        original(self, record)
        for handler in ROOT.handlers:
            if kinds_of_handlers.get(type(handler)) is not WRITE:
                bridge(self, record)
                return

    return callHandlers
