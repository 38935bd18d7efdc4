"""The twins of `otelctx.signals`: stamps of log records, spans, and their attributes."""

from functools import wraps
from threading import RLock

from cpython.dict cimport PyDict_Check, PyDict_CheckExact, PyDict_Copy, PyDict_GetItemWithError, PyDict_Merge, PyDict_SetItem, PyDict_Size, PyDict_Update
from cpython.object cimport PyObject
from cpython.set cimport PySet_Contains

from otelctx.native.core cimport (
    Link, Request, baggage_of, declared_now, enter, here, is_layer, layer_here, layer_in, raw_context, restore, span_in, with_span
)

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
    static PyObject *otelctx_blank(PyObject *type, PyObject *no_arguments) {
        return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, no_arguments, NULL);
    }
    /* A SpanContext, past its constructor. */
    static PyObject *otelctx_identity(PyObject *type, PyObject *trace, PyObject *span, PyObject *flags, PyObject *state) {
        PyObject *parts[6], *made = ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 6);
        Py_ssize_t i;
        if (made == NULL) return NULL;
    #if PY_VERSION_HEX >= 0x030E0000
        ((PyTupleObject *)made)->ob_hash = -1;  /* not known yet; tp_alloc leaves 0 */
    #endif
        parts[0] = trace; parts[1] = span; parts[2] = Py_False; parts[3] = flags; parts[4] = state; parts[5] = Py_True;
        for (i = 0; i < 6; i++) { Py_INCREF(parts[i]); PyTuple_SET_ITEM(made, i, parts[i]); }
        return made;
    }
    """
    Py_ssize_t PY_SSIZE_T_MAX
    object blank "otelctx_blank"(object type, tuple no_arguments)
    object identity "otelctx_identity"(object type, object trace_id, object span_id, object flags, object state)
    object hex_digits "otelctx_hex"(unsigned long long high, unsigned long long low, int digits)
    unsigned long long PyLong_AsUnsignedLongLong(object number) except? -1
    unsigned long long PyLong_AsUnsignedLongLongMask(object number) except? -1
    bint PyLong_CheckExact(object number) noexcept
    bint PyTuple_Check(object value) noexcept
    Py_ssize_t PyTuple_GET_SIZE(object value) noexcept
    PyObject *PyTuple_GET_ITEM(object value, Py_ssize_t place) noexcept
    Py_ssize_t clipped "PyNumber_AsSsize_t"(object number, PyObject *no_error) except? -1
    int PyObject_GenericSetAttr(object owner, object name, object value) except -1

cdef bint is_loaded = False
cdef object GeneratorContext, SPAN_KEY, attribute_value, new_stamps, LogRecord, ROOT, WRITE, bridge, lay_out
cdef dict kinds_of_handlers, logging_module
cdef object RecordingSpan, SpanContext, Clean, FieldSpanProcessor, Tracer, RandomIdGenerator, NoOpTracerMetrics, TraceFlags
cdef object DEFAULT_ON, RECORD_AND_SAMPLE, DROP, DEFAULT_TRACE_STATE, INTERNAL, SERVER, CONSUMER, UNSET, INVALID_SPAN
cdef object NonRecordingSpan, getrandbits, processors_of, SynchronousMultiSpanProcessor, NAMED, attributes_of, write
cdef object SDK_LOGGER, state_module, stamp_slowly, start_slowly, origin_of, relations, dropped_before, LISTENERS, DROPPED
cdef object SPAN_BITS = 64
cdef tuple TRACE_FLAGS, EMPTY = ()
cdef object deferred, fail, SET_EVENT, UNSET_EVENT, FIELDS
cdef int MOST_EVENTS
cdef bint spans_are_loaded = False
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


cdef int load_spans() except -1:
    """Take what spans need, which a program without the SDK does not have."""
    global RecordingSpan, SpanContext, Clean, FieldSpanProcessor, Tracer, RandomIdGenerator, NoOpTracerMetrics, TraceFlags
    global DEFAULT_ON, RECORD_AND_SAMPLE, DROP, DEFAULT_TRACE_STATE, INTERNAL, SERVER, CONSUMER, UNSET, INVALID_SPAN
    global NonRecordingSpan, getrandbits, processors_of, SynchronousMultiSpanProcessor, NAMED, attributes_of, write
    global SDK_LOGGER, state_module, stamp_slowly, start_slowly, origin_of, relations, dropped_before, LISTENERS, DROPPED
    global TRACE_FLAGS, spans_are_loaded, deferred, fail, SET_EVENT, UNSET_EVENT, FIELDS, MOST_EVENTS
    from opentelemetry import trace
    from opentelemetry.sdk import trace as sdk

    from otelctx.native import TWINS
    from otelctx.propagation import codec, overflow
    from otelctx.signals import attributes, clean, processors, recording, span_state, spans, tracing, write_through

    loaded()
    RecordingSpan, UNSET, SDK_LOGGER = recording.RecordingSpan, span_state.UNSET, span_state.SDK_LOGGER
    state_module, Clean = vars(span_state), clean.Clean
    SpanContext, NonRecordingSpan, INVALID_SPAN = trace.SpanContext, trace.NonRecordingSpan, trace.INVALID_SPAN
    INTERNAL, SERVER, CONSUMER = trace.SpanKind.INTERNAL, trace.SpanKind.SERVER, trace.SpanKind.CONSUMER
    DEFAULT_TRACE_STATE, TRACE_FLAGS = trace.DEFAULT_TRACE_STATE, tracing.FLAGS
    Tracer, SynchronousMultiSpanProcessor = sdk.Tracer, sdk.SynchronousMultiSpanProcessor
    RandomIdGenerator, NoOpTracerMetrics = tracing.RandomIdGenerator, tracing.NoOpTracerMetrics
    DEFAULT_ON, getrandbits = tracing.DEFAULT_ON, tracing.getrandbits
    RECORD_AND_SAMPLE, DROP = tracing.Decision.RECORD_AND_SAMPLE, tracing.Decision.DROP
    processors_of, NAMED, attributes_of, write = processors.processors_of, attributes.named, attributes.attributes_of, write_through.write
    FieldSpanProcessor, LISTENERS, origin_of, relations = spans.FieldSpanProcessor, spans.LISTENERS, spans.origin_of, spans.relations
    stamp_slowly = TWINS["otelctx.signals.spans.stamp_fields"][0]
    start_slowly = TWINS["otelctx.signals.tracing.starting"][0]
    DROPPED, dropped_before = codec.DROPPED, overflow.dropped_before
    deferred, fail, FIELDS = tracing.deferred, tracing.fail, attributes.FIELDS
    SET_EVENT, UNSET_EVENT, MOST_EVENTS = write_through.SET_EVENT, write_through.UNSET_EVENT, write_through.MOST_EVENTS
    spans_are_loaded = True
    return 0


cdef inline int spans_loaded() except -1:
    if not spans_are_loaded:
        load_spans()
    return 0


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


def named(values, view, hashes):
    cdef dict shown = {}
    loaded()
    look()
    show(
        shown,
        values if type(values) is dict else dict(values),
        in_spans if view is in_spans.view else showing(view),
        in_spans.names if view is in_spans.view else dict(view.names),
        hashes,
    )
    return shown


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
    cdef bint is_pythons
    loaded()
    lay_out()
    # Any other may put something into its records, and so may another constructor.
    is_pythons = getattr(original, "__globals__", None) is logging_module
    constructor = LogRecord.__init__
    is_pythons = is_pythons and getattr(constructor, "__globals__", None) is logging_module

    @wraps(original)
    def makeRecord(self, name, level, fn, lno, msg, args, exc_info, func=None, extra=None, sinfo=None):
        record = original(self, name, level, fn, lno, msg, args, exc_info, func, extra, sinfo)
        added = stamps()
        if (
            is_pythons
            and extra is None
            and type(record) is LogRecord
            and type(added) is dict
            and logging_module.get("_logRecordFactory") is LogRecord
            and LogRecord.__init__ is constructor
        ):
            # It has nothing yet but what each has. To ask for its dict would make one.
            try:
                for name, value in (<dict>added).items():
                    PyObject_GenericSetAttr(record, name, value)
                return record
            except AttributeError:
                pass  # the class got a property of that name, which stands before what the record has
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


# Spans.

cdef class Limits:
    """The limits of spans, read once; what is unlimited is as much as there can be."""

    cdef object source
    cdef Py_ssize_t attributes, events, event_attributes
    cdef bint has_span_length, has_length


cdef Limits last_limits = Limits()


cdef Py_ssize_t most(object limit) except? -1:
    return PY_SSIZE_T_MAX if limit is None else clipped(limit, NULL)


cdef Limits limits_of(object source):
    global last_limits
    cdef Limits made
    if last_limits.source is source:
        return last_limits
    made = Limits()
    made.attributes, made.events = most(source.max_span_attributes), most(source.max_events)
    made.event_attributes = most(source.max_event_attributes)
    made.has_span_length = source.max_span_attribute_length is not None
    made.has_length = source.max_attribute_length is not None
    made.source = source
    last_limits = made
    return made


cdef object last_processors = (None,)


cdef object steps_of(object processor):
    """Return what `processors_of` does; nearly always of the same provider as the last time."""
    global last_processors
    cdef object steps = last_processors
    of = processor._span_processors if type(processor) is SynchronousMultiSpanProcessor else processor
    if of is not <object>PyTuple_GET_ITEM(steps, 0):
        # Another thread may have put those of another provider there by now.
        last_processors = steps = processors_of(processor)
    return steps


cdef inline bint is_plain(object value) noexcept:
    kind = type(value)
    return kind is str or kind is int or kind is bool or kind is float


cdef bint are_plain(dict attributes) except -1:
    for key, value in attributes.items():
        if type(key) is not str or not (<str>key) or not is_plain(value):
            return False
    return True


cdef bint share(dict values, dict attributes) except -1:
    """Tell whether they have a name in common."""
    if values is not None and len(values):
        for key in attributes:
            if PyDict_GetItemWithError(values, key) is not NULL:
                return True
    return False


cdef object now():
    # By name, as Python looks it up: who stops the clock puts another function there.
    return state_module["time_ns"]()


cdef class SpanState:
    cdef public object _context, _parent, _name, _kind, _resource, _instrumentation_info, _instrumentation_scope
    cdef public object _sampler, _span_processor, _limits, _start_time, _end_time, _status, _record_end_metrics
    cdef public object _linked, _made_lock
    cdef public bint _record_exception, _set_status_on_exception
    cdef public Py_ssize_t _dropped, _dropped_events
    cdef dict values
    cdef list told
    cdef bint is_over

    def make(self, tracer, name, context, parent, kind, attributes):
        spans_loaded()
        self.fill(tracer, name, context, parent, kind, attributes)

    cdef int fill(self, object tracer, object name, object context, object parent, object kind, object attributes) except -1:
        self._name, self._context, self._parent, self._kind = name, context, parent, kind
        self._resource = tracer.resource
        self._instrumentation_info = tracer.instrumentation_info
        self._instrumentation_scope = tracer._instrumentation_scope
        self._sampler = tracer.sampler
        self._span_processor = tracer.span_processor
        self._limits = tracer._span_limits
        self._status = UNSET
        self._record_exception = self._set_status_on_exception = True
        if type(attributes) is Clean:
            self.put(attributes)
        elif attributes:
            self.set_attributes(attributes)
        return 0

    def differ(self, record_exception, set_status_on_exception, record_end_metrics):
        self._record_exception, self._set_status_on_exception = bool(record_exception), bool(set_status_on_exception)
        self._record_end_metrics = record_end_metrics

    @property
    def context(self):
        """What identifies the span."""
        return self._context

    @property
    def parent(self):
        """What identifies its parent."""
        return self._parent

    @property
    def kind(self):
        """Its kind."""
        return self._kind

    @property
    def _values(self):
        if self.values is None:
            self.values = {}
        return self.values

    @_values.setter
    def _values(self, dict values):
        self.values = values

    @property
    def _told(self):
        if self.told is None:
            self.told = []
        return self.told

    @_told.setter
    def _told(self, list told):
        self.told = told

    @property
    def _lock(self):
        if self._made_lock is None:
            made = RLock()
            # To make one may have run a signal handler, which has made its own.
            if self._made_lock is None:
                self._made_lock = made
        return self._made_lock

    def get_span_context(self):
        return self._context

    def is_recording(self):
        return self._end_time is None

    cdef int update(self, dict attributes) except -1:
        if self.values is None:
            self.values = PyDict_Copy(attributes)
        else:
            PyDict_Update(self.values, attributes)
        return 0

    cdef inline Py_ssize_t room(self) except? -1:
        """Return how many attributes more the span may have as they come, or -1 where their length is limited."""
        cdef Limits limits = limits_of(self._limits)
        return -1 if limits.has_span_length else limits.attributes - (0 if self.values is None else len(self.values))

    def set_attribute(self, key, value):
        if self._end_time is not None:
            SDK_LOGGER.warning("Setting attribute on ended span.")
        elif (
            is_plain(value)
            and type(key) is str
            and (<str>key)
            and (self.values is None or PyDict_GetItemWithError(self.values, key) is NULL)
            and self.room() > 0
        ):
            if self.values is None:
                self.values = {}
            PyDict_SetItem(self.values, key, value)
        else:
            (<object>self)._clean_value(key, value)

    cpdef set_attributes(self, attributes):
        if self._end_time is not None:
            SDK_LOGGER.warning("Setting attribute on ended span.")
        elif (
            type(attributes) is dict
            and are_plain(attributes)
            and not share(self.values, attributes)
            and len(<dict>attributes) <= self.room()
        ):
            self.update(attributes)
        else:
            (<object>self)._clean_all(attributes)

    cdef int put(self, object attributes) except -1:
        cdef dict fresh
        if self.values is None and PyDict_Check(attributes) and PyDict_Size(attributes) <= self.room():
            self.values = PyDict_Copy(attributes)
            return 0
        if type(attributes) is not dict:
            attributes = dict(attributes)
        if share(self.values, attributes):
            fresh = {}
            for key, value in (<dict>attributes).items():
                if PyDict_GetItemWithError(self.values, key) is NULL:
                    PyDict_SetItem(fresh, key, value)
            attributes = fresh
        if PyDict_Size(attributes) <= self.room():
            self.update(attributes)
        else:
            self.set_attributes(attributes)
        return 0

    def stamp(self, attributes):
        self.put(attributes)

    cpdef bint rewrite(self, attributes, old) except -1:
        cdef dict values = self.values, fresh
        cdef PyObject *found
        if self._end_time is not None:
            return False
        if values is not None and len(values):
            for key in attributes:
                if key in values:
                    break
            else:
                self.set_attributes(attributes)
                return True
            fresh = {}
            for key, value in attributes.items():
                found = PyDict_GetItemWithError(values, key)
                if found is not NULL:
                    there, ours = <object>found, old.get(key)
                    if there is not ours and there != ours:
                        continue
                fresh[key] = value
            attributes = fresh
        self.set_attributes(attributes)
        return True

    cpdef add_event(self, name, attributes=None, timestamp=None):
        cdef Limits limits = limits_of(self._limits)
        cdef dict given
        if (
            self._end_time is None
            and (attributes is None or type(attributes) is dict)
            and (attributes is None or are_plain(attributes))
            and not limits.has_length
            and (0 if attributes is None else len(<dict>attributes)) <= limits.event_attributes
            and (0 if self.told is None else len(self.told)) < limits.events
        ):
            given = {} if attributes is None else PyDict_Copy(attributes)
            event = (name, given, now() if timestamp is None else timestamp)
            if self._end_time is not None:
                return  # the clock may have run a signal handler
            if self.told is None:
                self.told = []
            self.told.append(event)
        else:
            (<object>self)._add_unusual_event(name, attributes, timestamp)

    cpdef contents(self):
        cdef dict values
        span = <object>self
        if self.values is None:
            self.values = {}
        values = self.values
        return (
            self._context,
            self._parent,
            self._name,
            self._kind,
            self._start_time,
            self._end_time,
            PyDict_Copy(values) if self._end_time is None else values,
            self._dropped,
            span.events if self.told else (),
            self._dropped_events,
            () if self._linked is None else span.links,
            0 if self._linked is None else span.dropped_links,
            self._status,
        )

    cpdef start(self, start_time=None, parent_context=None):
        spans_loaded()
        if self._start_time is not None:
            SDK_LOGGER.warning("Calling start() on a started span.")
            return
        self._start_time = now() if start_time is None else start_time
        for processor in steps_of(self._span_processor).on_start:
            if type(processor) is FieldSpanProcessor:
                stamp_span(self, parent_context)
            else:
                processor.on_start(self, parent_context=parent_context)

    cpdef end(self, end_time=None):
        if self.is_over:
            SDK_LOGGER.warning("Calling end() on an ended span.")
            return
        self.is_over = True
        self._end_time = now() if end_time is None else end_time
        if self._made_lock is None:
            self.keep()
        else:
            with self._made_lock:
                self.keep()
        if self._record_end_metrics is not None:
            self._record_end_metrics()
        processors = steps_of(self._span_processor)
        for processor in processors.on_ending:
            processor._on_ending(self)
        for processor in processors.on_end:
            processor.on_end(self)

    cdef int keep(self) except -1:
        """Leave to others what they may have taken to write to."""
        if self.values is not None:
            self.values = PyDict_Copy(self.values)
        if self.told is not None:
            self.told = self.told[:]
        return 0


cdef object shown_of(Link layer, bint once):
    """Return what `attributes_of` does, for spans."""
    cdef Request request = layer.request
    cdef dict shown
    if layer.parent is not None or layer.bound or request is None:
        return attributes_of(layer, in_spans.view, once=once)
    if once:
        shown = {}
        show(shown, PyDict_Copy(request.values), in_spans, in_spans.names, request.hashes)
        return shown
    for entry in request._shown:
        if (<tuple>entry)[0] is NAMED and (<tuple>entry)[1] is request.version and (<tuple>entry)[2] is in_spans.view:
            return (<tuple>entry)[3]
    return request.shown(NAMED, in_spans.view)


cdef int stamp_span(SpanState span, object parent_context) except -1:
    cdef Link layer
    cdef Request request
    cdef bint is_entry
    found = layer_here(here()) if parent_context is None else layer_in(parent_context)
    if found is None:
        return 0
    look()
    layer = <Link?>found
    request = layer.request
    kind, parent = span._kind, span._parent
    is_entry = request is not None and (kind is SERVER or kind is CONSUMER) and (parent is None or parent[2])
    span.put(shown_of(layer, is_entry))
    if request is None:
        return 0
    if request.link is not None or request.former is not None or request.broken_seal is not None:
        span.put(relations(request, span))
    if is_entry:
        request.entry_span = span
        request.listeners = LISTENERS
        for field in declared.generated:
            origin = request.origins.get(field.name)
            if origin is not None:
                span.put(origin_of(field.name, origin))
        if DROPPED in request.carried:
            span.put(dropped_before(request.carried))
    return 0


def stamp_fields(span, parent_context):
    spans_loaded()
    if type(span) is RecordingSpan:
        stamp_span(span, parent_context)
    else:
        stamp_slowly(span, parent_context)


def starting(original):
    spans_loaded()
    slowly = start_slowly(original)

    @wraps(original)
    def start_span(
        self,
        name,
        context=None,
        kind=INTERNAL,
        attributes=None,
        links=(),
        start_time=None,
        record_exception=True,
        set_status_on_exception=True,
    ):
        cdef SpanState span
        cdef object outer, parent, ids, sampler, state, own, counting
        cdef unsigned long long outer_flags
        cdef bint is_random, is_sampled, is_recording
        if type(self) is not Tracer or not self._tracer_config.is_enabled:
            return original(
                self, name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
        outer = span_in(here() if context is None else context)
        parent = (<SpanState>outer)._context if type(outer) is RecordingSpan else outer.get_span_context()
        ids = self.id_generator
        if type(parent) is not SpanContext or PyTuple_GET_SIZE(parent) != 6:
            return slowly(
                self, name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
        if <object>PyTuple_GET_ITEM(parent, 5):
            trace_id = <object>PyTuple_GET_ITEM(parent, 0)
            outer_flags = PyLong_AsUnsignedLongLongMask(<object>PyTuple_GET_ITEM(parent, 3))
            state = <object>PyTuple_GET_ITEM(parent, 4)
            is_random = outer_flags & 2 != 0
        else:
            parent, outer_flags, state = None, 1, None
            trace_id, is_random = ids.generate_trace_id(), bool(ids.is_trace_id_random())
        sampler = self.sampler
        if sampler is DEFAULT_ON:
            is_sampled = is_recording = outer_flags & 1 != 0
            decision = RECORD_AND_SAMPLE if is_sampled else DROP
        else:
            result = sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
            decision, state, attributes = result.decision, result.trace_state, result.attributes
            is_sampled = decision is RECORD_AND_SAMPLE
            is_recording = decision is not DROP
        flags = TRACE_FLAGS[is_sampled | (is_random << 1)]
        if type(ids) is RandomIdGenerator:
            span_id = getrandbits(SPAN_BITS) or ids.generate_span_id()
            own = identity(SpanContext, trace_id, span_id, flags, DEFAULT_TRACE_STATE if state is None else state)
        else:
            own = SpanContext(trace_id, ids.generate_span_id(), False, flags, state)
        counting = self._tracer_metrics
        counted = None if type(counting) is NoOpTracerMetrics else counting.start_span(parent, decision)
        if not is_recording:
            return NonRecordingSpan(own)
        span = blank(RecordingSpan, EMPTY)
        span.fill(self, name, own, parent, kind, attributes)
        if not record_exception or not set_status_on_exception or counted is not None:
            span.differ(record_exception, set_status_on_exception, counted)
        if links:
            (<object>span).link(links)
        span.start(start_time, context)
        return span

    return start_span


cdef class CurrentSpan:
    cdef object tracer, arguments, span, token
    cdef bint end_on_exit, record_exception, set_status

    def __init__(self, tracer, end_on_exit, record_exception, set_status_on_exception, arguments):
        self.tracer, self.arguments, self.span = tracer, arguments, INVALID_SPAN
        self.end_on_exit, self.record_exception, self.set_status = end_on_exit, record_exception, set_status_on_exception

    def __call__(self, function):
        return deferred(
            function, (self.tracer, self.end_on_exit, self.record_exception, self.set_status, self.arguments)
        )

    def __enter__(self):
        arguments, self.arguments = self.arguments, EMPTY
        if self.record_exception and self.set_status:
            span = self.tracer.start_span(*arguments)
        else:
            span = self.tracer.start_span(*arguments, self.record_exception, self.set_status)
        self.span = span
        self.token = enter(with_span(here(), span), 2)
        return span

    def __exit__(self, kind, error, traceback):
        span, token = self.span, self.token
        try:
            if token is not None:
                restore(token)
            if error is not None:
                fail(span, error, self.record_exception, self.set_status)
        finally:
            if self.end_on_exit:
                if type(span) is RecordingSpan:
                    (<SpanState>span).end()
                else:
                    span.end()


def making_current(original):
    spans_loaded()

    @wraps(original)
    def start_as_current_span(
        self,
        name,
        context=None,
        kind=INTERNAL,
        attributes=None,
        links=(),
        start_time=None,
        record_exception=True,
        set_status_on_exception=True,
        end_on_exit=True,
    ):
        arguments = (name, context, kind, attributes, links, start_time)
        return CurrentSpan(self, end_on_exit, record_exception, set_status_on_exception, arguments)

    return start_as_current_span


# Changes of a request.

cdef object write_one(object span, dict attributes, dict old):
    if type(span) is RecordingSpan:
        return span if (<SpanState>span).rewrite(attributes, old) else None
    return write(span, attributes, old)


def write_through(request, changes, before):
    cdef dict attributes, old
    spans_loaded()
    look()
    view = in_spans.view
    attributes = named(changes, view, request.hashes)
    old = named(before, view, {}) if before else {}
    entry, inner = request.entry_span, span_in(here())
    teller = write_one(entry, attributes, old)
    if inner is not entry:
        teller = write_one(inner, attributes, old) or teller
    if request.writes <= MOST_EVENTS and teller is not None:
        if attributes:
            teller.add_event(SET_EVENT, attributes)
        withdrawn = [name for name in old if name not in attributes]
        if withdrawn:
            teller.add_event(UNSET_EVENT, {FIELDS: sorted(withdrawn)})
