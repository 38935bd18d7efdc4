"""The twins of `otelctx.core`: the request, its layers, and what reads, writes and binds its fields."""

from cpython.contextvars cimport PyContextVar_Get, PyContextVar_Reset, PyContextVar_Set
from cpython.dict cimport PyDict_Check, PyDict_Copy, PyDict_GetItemWithError, PyDict_SetItem, PyDict_Update
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF

cdef extern from *:
    """
    /* Whether the Python code that runs here is known to be neither a generator nor a helper; without making a frame
       object of it, which lives as long as the frame and weighs 250 bytes. */
    #if PY_VERSION_HEX >= 0x030C0000
    static Py_ssize_t otelctx_extra = -1;
    static char otelctx_plain;
    static PyObject *otelctx_code(void) {
        PyThreadState *state = PyThreadState_Get();
    #if PY_VERSION_HEX >= 0x030D0000
        struct _PyInterpreterFrame *frame = state->current_frame;
    #else
        struct _PyInterpreterFrame *frame = state->cframe->current_frame;
    #endif
        PyObject *code = frame == NULL ? NULL : PyUnstable_InterpreterFrame_GetCode(frame);
        if (code != NULL && !PyCode_Check(code)) Py_CLEAR(code);
        return code;
    }
    static int otelctx_in_plain_code(void) {
        void *mark = NULL;
        PyObject *code = otelctx_extra < 0 ? NULL : otelctx_code();
        if (code == NULL) return 0;
        if (PyUnstable_Code_GetExtra(code, otelctx_extra, &mark) < 0) PyErr_Clear();
        Py_DECREF(code);
        return mark == &otelctx_plain;
    }
    static void otelctx_mark_plain(PyObject *frame) {
        PyObject *code;
        if (otelctx_extra < 0) otelctx_extra = PyUnstable_Eval_RequestCodeExtraIndex(NULL);
        if (otelctx_extra < 0) return;
        code = (PyObject *)PyFrame_GetCode((PyFrameObject *)frame);
        if (PyUnstable_Code_SetExtra(code, otelctx_extra, &otelctx_plain) < 0) PyErr_Clear();
        Py_DECREF(code);
    }
    #else
    static int otelctx_in_plain_code(void) { return 0; }
    static void otelctx_mark_plain(PyObject *frame) { (void)frame; }
    #endif
    /* A longer text than the longest that there can be is as good as that. */
    static Py_ssize_t otelctx_as_length(PyObject *number) {
        return PyNumber_AsSsize_t(number, NULL);
    }
    static PyObject *otelctx_blank(PyObject *type, PyObject *no_arguments) {
        return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, no_arguments, NULL);
    }
    static int otelctx_is_plain_ascii(PyObject *text) {
        Py_ssize_t i, length;
        const Py_UCS1 *characters;
        if (!PyUnicode_IS_COMPACT_ASCII(text)) return 0;
        length = PyUnicode_GET_LENGTH(text);
        characters = PyUnicode_1BYTE_DATA(text);
        for (i = 0; i < length; i++) if (characters[i] < 0x20 || characters[i] > 0x7e) return 0;
        return 1;
    }
    static int otelctx_is_plain_id(PyObject *text) {
        Py_ssize_t i, length;
        const Py_UCS1 *characters;
        if (!PyUnicode_IS_COMPACT_ASCII(text) || (length = PyUnicode_GET_LENGTH(text)) == 0) return 0;
        characters = PyUnicode_1BYTE_DATA(text);
        for (i = 0; i < length; i++) {
            Py_UCS1 c = characters[i], letter = c | 0x20;
            if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && (c == 0 || !strchr("._~:+/=@-", c)))
                return 0;
        }
        return 1;
    }
    """
    bint is_plain_id "otelctx_is_plain_id"(object text) noexcept
    bint in_plain_code "otelctx_in_plain_code"() noexcept
    void mark_plain "otelctx_mark_plain"(PyObject *frame) noexcept
    Py_ssize_t as_length "otelctx_as_length"(PyObject *number) except? -1
    bint is_plain_ascii "otelctx_is_plain_ascii"(object text) noexcept
    object blank "otelctx_blank"(object type, tuple no_arguments)
    PyObject *running_frame "(PyObject *)PyEval_GetFrame"()

cdef object CURRENT, NOWHERE, SPAN_KEY, BAGGAGE_KEY, LAYER_KEY, INVALID_SPAN, FRESH, ABSENT
cdef object UNSET = object()
cdef object Context, GeneratorContext, Span, LayerType
cdef object attach, get_current, generator_of, generator_end, is_plain, is_request_id, layer_in_slowly, current_layer_of, found_slowly
cdef dict NONE, registry_module
cdef object NOTHING
cdef str RECEIVED, GENERATED
cdef int MAX_DEPTH
cdef bint is_loaded = False, is_variable = False
cdef tuple EMPTY = ()
cdef set span_kinds = set()

# What is declared now, and two of its indexes.
cdef object declared = None
cdef dict plain_lengths = {}
cdef dict lengths_of_ids = {}
cdef list generated = []
cdef dict fields_by_name = {}


cdef int load() except -1:
    """Take what Python has, when it is first needed: this is imported before all of it."""
    global CURRENT, NOWHERE, SPAN_KEY, BAGGAGE_KEY, LAYER_KEY, INVALID_SPAN, FRESH, ABSENT
    global Context, GeneratorContext, Span, LayerType, attach, get_current, generator_of, generator_end
    global is_plain, is_request_id, layer_in_slowly, current_layer_of, found_slowly, NONE, NOTHING, registry_module
    global RECEIVED, GENERATED, MAX_DEPTH, is_loaded, is_variable
    from contextvars import ContextVar

    from opentelemetry import context as of_context
    from opentelemetry import trace

    from otelctx.core import fields, generator_context, layers, registry, request, state, verbs
    from otelctx.core import here as of_here

    CURRENT, NOWHERE, SPAN_KEY = of_here.CURRENT, of_here.NOWHERE, of_here.SPAN_KEY
    BAGGAGE_KEY, LAYER_KEY = state.BAGGAGE_KEY, state.LAYER_KEY
    INVALID_SPAN, Span, Context = trace.INVALID_SPAN, trace.Span, of_context.Context
    attach, get_current = of_context.attach, of_context.get_current
    GeneratorContext, generator_end = generator_context.GeneratorContext, generator_context.end
    generator_of, is_plain = generator_context.generator_of, generator_context.is_plain
    LayerType, NONE, ABSENT, MAX_DEPTH = layers.Layer, layers.NONE, layers.ABSENT, layers.MAX_DEPTH
    FRESH, NOTHING, RECEIVED, GENERATED = request.FRESH, request.NOTHING, request.RECEIVED, request.GENERATED
    layer_in_slowly, current_layer_of = state.derived_layer_in, state.current_layer_of
    found_slowly = verbs.found
    registry_module, is_request_id = vars(registry), fields.is_request_id
    is_variable = isinstance(CURRENT, ContextVar)
    is_loaded = True
    return 0


cdef inline int loaded() except -1:
    if not is_loaded:
        load()
    return 0


cdef object declared_now():
    """Return the registry of now."""
    global declared, plain_lengths, lengths_of_ids, fields_by_name, generated
    loaded()
    cdef object now = registry_module["_active"]
    if now is not declared:
        of_ids = {
            field.name: field.max_length
            for field in now.by_name.values()
            if field.type is str and field.validate is is_request_id
        }
        named = [(field.name, field) for field in now.generated]
        # All at once, and last: a collection of garbage may let another thread in before.
        lengths_of_ids, generated = of_ids, named
        plain_lengths, fields_by_name, declared = now.plain, now.by_name, now
    return now


cdef object raw_context():
    cdef PyObject *value = NULL
    loaded()
    if not is_variable:
        return get_current()
    PyContextVar_Get(CURRENT, <PyObject *>NOWHERE, &value)
    result = <object>value
    Py_XDECREF(value)
    return result


cpdef object here():
    context = raw_context()
    return context.seen_from_here() if type(context) is GeneratorContext else context


cdef bint is_layer(object found) noexcept:
    return type(found) is LayerType


cdef object baggage_of(object context):
    """Return what is under OpenTelemetry's key of baggage."""
    cdef PyObject *found
    if not PyDict_Check(context):
        return context.get(BAGGAGE_KEY)
    found = PyDict_GetItemWithError(context, BAGGAGE_KEY)
    return None if found is NULL else <object>found


cdef object made_current(object context):
    return PyContextVar_Set(CURRENT, context) if is_variable else attach(context)


cpdef object enter(object context, Py_ssize_t depth=1):
    # No frame of Python's stands between here and who calls, however deep that is said to be.
    return entered(context, raw_context())


cdef object entered(object context, object current):
    """Make *context* current where *current* is."""
    if type(context) is GeneratorContext or type(current) is GeneratorContext:
        return attach(context)
    if not in_plain_code():
        frame = running_frame()
        if frame is not NULL:
            if generator_of(<object>frame) is not None:
                return attach(context)
            if is_plain(<object>frame):
                mark_plain(frame)
    return made_current(context)


cpdef object enter_own(object context):
    current = raw_context()
    if type(context) is GeneratorContext or type(current) is GeneratorContext:
        return attach(context)
    return made_current(context)


cpdef object restore(object token):
    if type(raw_context()) is GeneratorContext and generator_end(token):
        return
    try:
        if is_variable:
            PyContextVar_Reset(CURRENT, token)
        else:
            CURRENT.reset(token)
    except ValueError:
        generator_end(token)


cpdef object span_in(object context):
    cdef PyObject *found
    loaded()
    if PyDict_Check(context):
        found = PyDict_GetItemWithError(context, SPAN_KEY)
        span = None if found is NULL else <object>found
    else:
        span = context.get(SPAN_KEY)
    if type(span) in span_kinds:
        return span
    if not isinstance(span, Span):
        return INVALID_SPAN
    if len(span_kinds) < 64:
        span_kinds.add(type(span))
    return span


cdef object copied(object context):
    """Return a new Context like *context*, which somebody may still write to."""
    cdef object result = blank(Context, EMPTY)
    PyDict_Update(result, context)
    return result


cdef object blank_context():
    loaded()
    return blank(Context, EMPTY)


cdef object span_key():
    loaded()
    return SPAN_KEY


cpdef object with_span(object context, object span):
    loaded()
    result = copied(context)
    PyDict_SetItem(result, SPAN_KEY, span)
    return result


cpdef object with_layer(object context, object layer):
    loaded()
    result = copied(context)
    if layer is None:
        dict.pop(result, LAYER_KEY, None)
        dict.pop(result, BAGGAGE_KEY, None)
    else:
        PyDict_SetItem(result, LAYER_KEY, layer)
        PyDict_SetItem(result, BAGGAGE_KEY, layer)
    return result


cpdef object layer_in(object context):
    loaded()
    found = baggage_of(context)
    return found if type(found) is LayerType else layer_in_slowly(context, found)


cpdef object layer_here(object context):
    loaded()
    found = baggage_of(context)
    if type(found) is LayerType and type((<Link>found).request) is Request:
        return found
    return current_layer_of(layer_in(context))


cdef bint fits(object name, object value) except -1:
    """Tell whether *value* is held as it is by the field of *name*, and asks for no closer look."""
    cdef PyObject *limit
    if type(value) is not str:
        return False
    limit = PyDict_GetItemWithError(plain_lengths, name)
    if limit is not NULL:
        return len(<str>value) <= as_length(limit) and is_plain_ascii(value)
    limit = PyDict_GetItemWithError(lengths_of_ids, name)
    return limit is not NULL and len(<str>value) <= as_length(limit) and is_plain_id(value)


cdef object accept(object name, object value):
    """Return *value* as the field of *name* holds it, where `declared_now` was called; raises as `accepted` does."""
    if fits(name, value):
        return value
    field = fields_by_name.get(name)
    if field is None:
        declared.check(name)
        return value
    return None if value is None else field.accept(value)


def accepted(values):
    cdef dict result = {}
    declared_now()
    for name, value in values.items():
        result[name] = accept(name, value)
    return result


cdef inline object value_in(object values, object name, object default):
    """Return what *values* has for *name*; what a dict was made into is asked itself."""
    cdef PyObject *found
    if type(values) is not dict:
        return values.get(name, default)
    found = PyDict_GetItemWithError(values, name)
    return default if found is NULL else <object>found


cdef class Request:
    def __init__(self, values=None, carried=None, properties=None):
        loaded()
        self.open({} if values is None else values, NOTHING if carried is None else carried, properties)

    cdef int open(self, object values, object carried, object properties) except -1:
        cdef dict origins = {}
        declared_now()
        self.values = values
        self.carried = carried
        self.properties = NOTHING if properties is None else properties
        self.entry_span = INVALID_SPAN
        self.hashes = {}
        self.listeners = EMPTY
        self.version = FRESH
        self._shown = EMPTY
        for name in values:
            origins[name] = RECEIVED
        self.origins = origins
        for name, field in generated:
            if value_in(values, name, None) is None:
                value = field.generated()
                if value is not None:
                    values[name] = value
                    origins[name] = GENERATED
        return 0

    def write(self, changes):
        cdef object values = self.values
        cdef dict origins
        cdef tuple listeners = self.listeners
        cdef dict before = {}
        if listeners:
            for name in changes:
                value = values.get(name)
                if value is not None:
                    before[name] = value
        values.update(changes)
        self.writes += 1
        self.version = object()
        origins = self.origins
        for name in changes:
            origins.pop(name, None)
        for listener in listeners:
            listener(self, changes, before)

    def shown(self, make, view):
        version, kept = self.version, self._shown
        for entry in kept:
            if (<tuple>entry)[0] is make and (<tuple>entry)[1] is version and (<tuple>entry)[2] is view:
                return (<tuple>entry)[3]
        made = make(self.values.copy(), view, self.hashes)
        others = [entry for entry in kept if (<tuple>entry)[0] is not make]
        others.append((make, version, view, made))
        self._shown = tuple(others)
        return made


cdef object new_request(object values, object carried, object properties):
    cdef Request request = Request.__new__(Request)
    request.open(values, carried, properties)
    return request


cdef class Link(dict):
    def __init__(self, request, parent=None, bound=None, members=None):
        loaded()
        self.put(request, parent, NONE if bound is None else bound, NONE if members is None else members)

    cdef int put(self, Request request, Link parent, object bound, object members) except -1:
        self.request = request
        self.parent = parent
        self.bound = bound
        self.members = members
        self.depth = 0 if parent is None else parent.depth + 1
        if self.depth > MAX_DEPTH:
            (<object>self)._fold()
        if type(request) is not Request:
            self.near = NONE
        else:
            self.near = self.bound if self.bound or self.parent is not None else request.values
        return 0

    def find(self, name):
        cdef Link layer = self
        while layer is not None:
            value = value_in(layer.bound, name, ABSENT)
            if value is not ABSENT:
                return value
            layer = layer.parent
        return ABSENT if self.request is None else value_in(self.request.values, name, ABSENT)

    def write(self, changes):
        cdef Link layer = self
        request = self.request
        if request is None:
            raise LookupError("There is no request here to write to")
        request.write(changes)
        while layer is not None:
            bound = layer.bound
            if bound:
                if layer.is_shared:
                    # Nothing of Python's runs in here, so nobody else writes in between.
                    bound = bound.copy()
                    layer.near = bound if layer.near is layer.bound else layer.near
                    layer.bound = bound
                    layer.is_shared = False
                for name in changes:
                    bound.pop(name, None)
            layer = layer.parent


cdef Link new_layer(Request request, Link parent, object bound):
    cdef Link layer = <Link>blank(LayerType, EMPTY)
    layer.put(request, parent, NONE if bound is None else bound, NONE)
    return layer


def get(name, default=UNSET):
    context = raw_context()
    if type(context) is not GeneratorContext:
        layer = baggage_of(context)
        if type(layer) is LayerType:
            value = value_in((<Link>layer).near, name, None)
            if value is not None:
                return value
    return found_slowly(name) if default is UNSET else found_slowly(name, default)


cdef class Entering:
    cdef public object _token

    def __init__(self):
        pass

    cdef object inside(self, object current):
        """Return the Context to enter where *current* is."""
        return (<object>self)._context()

    def __enter__(self):
        if self._token is not None:
            raise RuntimeError(f"This {type(self).__name__} block is entered already; make a new one for each use")
        current = raw_context()
        self._token = entered(self.inside(current), current)

    def __exit__(self, kind, error, traceback):
        token, self._token = self._token, None
        if token is not None:
            restore(token)


cdef class Binding(Entering):
    "Binding(**values)\n--\n\nThe first line is the signature that `inspect` finds."

    cdef public dict _values

    def __init__(self, /, **values):
        declared_now()
        for name, value in values.items():
            if not isinstance(name, str):
                raise TypeError("keywords must be strings")
            fits = accept(name, value)
            if fits is not value:
                values[name] = fits
        self._values = values

    cdef object inside(self, object current):
        cdef Request request
        cdef Link layer
        context = current.seen_from_here() if type(current) is GeneratorContext else current
        outer = layer_here(context)
        request = None if outer is None else (<Link>outer).request
        layer = new_layer(request, outer, self._values)
        layer.is_shared = True
        return with_layer(context, layer)

    def _context(self):
        return self.inside(raw_context())
