"""
The twins of `otelctx.export`: what an exporter is given, written into one buffer.

They write what is usual, of the exact types that OpenTelemetry has, and report nothing. A record with anything else in
it is written by the source's own encoder, from its beginning.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError, PyDict_Next
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.string cimport memcpy, memmove

cdef extern from *:
    """
    typedef unsigned long long otelctx_u64;

    /* The text in UTF-8; NULL where there is none, for a lone surrogate. Without a copy where it is ASCII. */
    static CYTHON_INLINE const char *otelctx_text(PyObject *text, Py_ssize_t *size) {
        const char *found;
        if (PyUnicode_IS_COMPACT_ASCII(text)) {
            *size = PyUnicode_GET_LENGTH(text);
            return (const char *)PyUnicode_1BYTE_DATA(text);
        }
        found = PyUnicode_AsUTF8AndSize(text, size);
        if (found == NULL) PyErr_Clear();
        return found;
    }
    /* The digits of an int, the lowest first, and whether it is negative. What the API has for it goes byte by byte. */
    #if PY_VERSION_HEX >= 0x030C0000
    #define otelctx_digits(number) (((PyLongObject *)(number))->long_value.ob_digit)
    #define otelctx_digits_count(number) ((Py_ssize_t)(((PyLongObject *)(number))->long_value.lv_tag >> 3))
    #define otelctx_is_negative(number) ((((PyLongObject *)(number))->long_value.lv_tag & 3) == 2)
    #else
    #define otelctx_digits(number) (((PyLongObject *)(number))->ob_digit)
    #define otelctx_digits_count(number) (Py_ABS(Py_SIZE(number)))
    #define otelctx_is_negative(number) (Py_SIZE(number) < 0)
    #endif
    /* Whether it is an int that fits. */
    static CYTHON_INLINE int otelctx_unsigned(PyObject *number, otelctx_u64 *result) {
        Py_ssize_t index;
        otelctx_u64 value = 0;
        if (!PyLong_CheckExact(number) || otelctx_is_negative(number)) return 0;
        for (index = otelctx_digits_count(number); index--;) {
            if (value >> (64 - PyLong_SHIFT)) return 0;
            value = value << PyLong_SHIFT | otelctx_digits(number)[index];
        }
        *result = value;
        return 1;
    }
    static CYTHON_INLINE int otelctx_signed(PyObject *number, long long *result) {
        int overflow;
        *result = PyLong_AsLongLongAndOverflow(number, &overflow);
        return !overflow;
    }
    /* Writes an int that fits into so many bytes, the highest first. */
    static int otelctx_big(PyObject *number, unsigned char *at, int bytes) {
        Py_ssize_t index, count;
        otelctx_u64 rest = 0;
        int bits = 0;
        if (!PyLong_CheckExact(number) || otelctx_is_negative(number)) return 0;
        count = otelctx_digits_count(number);
        for (index = 0; index < count; index++) {
            rest |= (otelctx_u64)otelctx_digits(number)[index] << bits;
            for (bits += PyLong_SHIFT; bits >= 8 && bytes; bits -= 8, rest >>= 8) at[--bytes] = (unsigned char)rest;
            if (!bytes && (rest || index + 1 < count)) return 0;
        }
        for (; bytes; rest >>= 8) at[--bytes] = (unsigned char)rest;
        return !rest;
    }
    static CYTHON_INLINE int otelctx_double(PyObject *number, double *result) {
        if (!PyFloat_CheckExact(number) && !PyLong_CheckExact(number)) return 0;
        *result = PyFloat_AsDouble(number);
        if (*result != -1.0 || !PyErr_Occurred()) return 1;
        PyErr_Clear();
        return 0;
    }
    static CYTHON_INLINE size_t otelctx_varint_size(otelctx_u64 number) {
        size_t size = 1;
        while (number >= 0x80) { number >>= 7; size++; }
        return size;
    }
    static CYTHON_INLINE unsigned char *otelctx_varint(unsigned char *at, otelctx_u64 number) {
        while (number >= 0x80) { *at++ = (unsigned char)number | 0x80; number >>= 7; }
        *at++ = (unsigned char)number;
        return at;
    }
    static CYTHON_INLINE unsigned char *otelctx_little(unsigned char *at, otelctx_u64 number, int bytes) {
        while (bytes--) { *at++ = (unsigned char)number; number >>= 8; }
        return at;
    }
    static CYTHON_INLINE otelctx_u64 otelctx_bits(double number) {
        otelctx_u64 bits;
        memcpy(&bits, &number, 8);
        return bits;
    }
    /* Of a tuple or a list. */
    static CYTHON_INLINE Py_ssize_t otelctx_size(PyObject *several) {
        return PyTuple_Check(several) ? PyTuple_GET_SIZE(several) : PyList_GET_SIZE(several);
    }
    static CYTHON_INLINE PyObject *otelctx_item(PyObject *several, Py_ssize_t index) {
        return PyTuple_Check(several) ? PyTuple_GET_ITEM(several, index) : PyList_GET_ITEM(several, index);
    }
    """
    Py_ssize_t size_of "otelctx_size"(PyObject *several) noexcept
    PyObject *item "otelctx_item"(PyObject *several, Py_ssize_t index) noexcept
    ctypedef unsigned long long u64 "otelctx_u64"
    const char *text_of "otelctx_text"(PyObject *text, Py_ssize_t *size) noexcept
    bint unsigned_of "otelctx_unsigned"(PyObject *number, u64 *result) noexcept
    bint signed_of "otelctx_signed"(PyObject *number, long long *result) noexcept
    bint double_of "otelctx_double"(PyObject *number, double *result) noexcept
    size_t varint_size "otelctx_varint_size"(u64 number) noexcept
    unsigned char *varint "otelctx_varint"(unsigned char *at, u64 number) noexcept
    unsigned char *little "otelctx_little"(unsigned char *at, u64 number, int count) noexcept
    bint big "otelctx_big"(PyObject *number, unsigned char *at, int count) noexcept
    u64 bits_of "otelctx_bits"(double number) noexcept
    bint is_text "PyUnicode_CheckExact"(PyObject *value) noexcept
    bint is_int "PyLong_CheckExact"(PyObject *value) noexcept
    bint is_float "PyFloat_CheckExact"(PyObject *value) noexcept
    bint is_bytes "PyBytes_CheckExact"(PyObject *value) noexcept
    bint is_tuple "PyTuple_CheckExact"(PyObject *value) noexcept
    bint is_list "PyList_CheckExact"(PyObject *value) noexcept
    bint is_dict "PyDict_CheckExact"(PyObject *value) noexcept

# Wire types; https://protobuf.dev/programming-guides/encoding/
cdef enum:
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    FIXED32 = 5

cdef bint is_loaded = False
cdef object Groups, Readers, SpanContext, TraceFlags, DEFAULT_TRACE_STATE, snapshot, status_field, read_published
cdef object PythonAttributeEncoder, PythonLogEncoder, PythonPointEncoder, PythonSpanEncoder
cdef dict KINDS, SEVERITIES
cdef int MAX_DEPTH


cdef int load() except -1:
    """Take what Python has, when it is first needed: this is imported before all of it."""
    global is_loaded, Groups, Readers, SpanContext, TraceFlags, DEFAULT_TRACE_STATE, snapshot, status_field
    global read_published, PythonAttributeEncoder, PythonLogEncoder, PythonPointEncoder, PythonSpanEncoder
    global KINDS, SEVERITIES, MAX_DEPTH
    from opentelemetry import trace

    from otelctx.export.otlp import attributes, grouping, logs, points, spans, stored, values
    from otelctx.native import TWINS

    SpanContext, TraceFlags, DEFAULT_TRACE_STATE = trace.SpanContext, trace.TraceFlags, trace.DEFAULT_TRACE_STATE
    Groups, Readers, snapshot, MAX_DEPTH = grouping.Groups, stored.Readers, attributes.snapshot, values.MAX_DEPTH
    read_published, status_field = stored.read_published, spans.status_field
    KINDS, SEVERITIES = spans.KINDS, logs.SEVERITIES
    PythonAttributeEncoder = TWINS["otelctx.export.otlp.attributes.AttributeEncoder"][0]
    PythonLogEncoder = TWINS["otelctx.export.otlp.logs.LogEncoder"][0]
    PythonPointEncoder = TWINS["otelctx.export.otlp.points.PointEncoder"][0]
    PythonSpanEncoder = TWINS["otelctx.export.otlp.spans.SpanEncoder"][0]
    is_loaded = True
    return 0


cdef class Buffer:
    """Bytes that grow at their end."""
    cdef unsigned char *data
    cdef size_t size, capacity

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int grow(self, size_t more) except -1:
        cdef size_t capacity = (self.size + more) * 2 + 1024
        cdef unsigned char *data = <unsigned char *>PyMem_Realloc(self.data, capacity)
        if data is NULL:
            raise MemoryError
        self.data, self.capacity = data, capacity
        return 0

    cdef inline unsigned char *room(self, size_t more) except NULL:
        """Return where to write so many bytes; how many there were is said with `upto`."""
        if self.capacity - self.size < more:
            self.grow(more)
        return self.data + self.size

    cdef inline void upto(self, unsigned char *end) noexcept:
        self.size = end - self.data

    cdef int raw(self, const void *given, size_t size) except -1:
        if size:  # there may be no buffer yet
            memcpy(self.room(size), given, size)
            self.size += size
        return 0

    cdef int add_bytes(self, bytes given) except -1:
        return self.raw(PyBytes_AS_STRING(given), PyBytes_GET_SIZE(given))

    cdef object taken(self, size_t start):
        """Return what there is from *start*, and have it no longer."""
        cdef size_t size = self.size - start
        self.size = start
        return PyBytes_FromStringAndSize(<char *>self.data + start, size)

    # A message is written after room for its length, of as many bytes as that most likely has.

    cdef inline size_t begin(self, unsigned char tag, size_t guess) except 0:
        cdef unsigned char *at = self.room(guess + 1)
        at[0] = tag
        self.size += guess + 1
        return self.size

    cdef int end(self, size_t start, size_t guess) except -1:
        cdef size_t length = self.size - start, needed = varint_size(length)
        if needed != guess:
            self.room(needed)
            memmove(self.data + start - guess + needed, self.data + start, length)
            self.size = self.size - guess + needed
        varint(self.data + start - guess, length)
        return 0

    # Each of these leaves out what is None or empty, as Python does, and returns 0 for what it does not know.

    cdef int text(self, unsigned char tag, PyObject *text) except -1:
        cdef Py_ssize_t size
        cdef const char *data
        cdef unsigned char *at
        if text is <PyObject *>None:
            return 1
        if not is_text(text):
            return 0
        data = text_of(text, &size)
        if data is NULL:
            return 0
        if size:
            at = self.room(size + 11)
            at[0] = tag
            at = varint(at + 1, size)
            memcpy(at, data, size)
            self.upto(at + size)
        return 1

    cdef int fixed64(self, unsigned char tag, PyObject *number) except -1:
        cdef u64 value
        cdef unsigned char *at
        if number is <PyObject *>None:
            return 1
        if not unsigned_of(number, &value):
            return 0
        if value:
            at = self.room(9)
            at[0] = tag
            self.upto(little(at + 1, value, 8))
        return 1

    cdef int count(self, unsigned char tag, PyObject *number) except -1:
        cdef u64 value
        cdef unsigned char *at
        if not unsigned_of(number, &value) or value > 0xffffffff:
            return 0
        if value:
            at = self.room(6)
            at[0] = tag
            self.upto(varint(at + 1, value))
        return 1

    cdef int double(self, unsigned char tag, PyObject *number) except -1:
        """Leaves out None alone."""
        cdef double value
        cdef unsigned char *at
        if number is <PyObject *>None:
            return 1
        if not double_of(number, &value):
            return 0
        at = self.room(9)
        at[0] = tag
        self.upto(little(at + 1, bits_of(value), 8))
        return 1

    cdef int trace_id(self, unsigned char tag, PyObject *number) except -1:
        return self.number_of_bytes(tag, number, 16)

    cdef int span_id(self, unsigned char tag, PyObject *number) except -1:
        return self.number_of_bytes(tag, number, 8)

    cdef int number_of_bytes(self, unsigned char tag, PyObject *number, unsigned char count) except -1:
        cdef unsigned char *at = self.room(count + 2)
        at[0], at[1] = tag, count
        if not big(number, at + 2, count):
            return 0
        self.upto(at + 2 + count)
        return 1

    cdef int identity(self, PyObject *context) except -1:
        """Write the two ids of a SpanContext."""
        return self.trace_id(1 << 3 | LENGTH, item(context, 0)) and self.span_id(2 << 3 | LENGTH, item(context, 1))

    cdef int flags(self, int tag, u64 bits) except -1:
        self.upto(little(varint(self.room(14), tag), bits, 4))
        return 1

    cdef int sfixed64(self, unsigned char tag, PyObject *number) except -1:
        cdef long long value
        cdef unsigned char *at
        if not is_int(number) or not signed_of(number, &value):
            return 0
        at = self.room(9)
        at[0] = tag
        self.upto(little(at + 1, <u64>value, 8))
        return 1

    cdef int packed(self, unsigned char tag, numbers, bint are_doubles) except -1:
        """Write numbers of eight bytes each, if there are any."""
        cdef PyObject *given = <PyObject *>numbers
        cdef Py_ssize_t size, index
        cdef unsigned char *at
        cdef u64 number
        cdef double real
        if not is_tuple(given) and not is_list(given):
            return 0
        size = size_of(given)
        if not size:
            return 1
        at = self.room(11 + 8 * size)
        at[0] = tag
        at = varint(at + 1, 8 * size)
        for index in range(size):
            if are_doubles:
                if not double_of(item(given, index), &real):
                    return 0
                number = bits_of(real)
            elif not unsigned_of(item(given, index), &number):
                return 0
            at = little(at, number, 8)
        self.upto(at)
        return 1

    cdef int known(self, dict table, PyObject *member) except -1:
        """Write what *table* has for a member of an enum, by its id."""
        cdef PyObject *field = PyDict_GetItemWithError(table, <size_t>member)
        if field is NULL:
            return 0
        self.add_bytes(<bytes>field)
        return 1

    # opentelemetry/proto/common/v1/common.proto. No Python runs in these, so what they borrow is not changed.

    cdef int value(self, PyObject *value, int depth) except -1:
        """Write the body of an AnyValue."""
        cdef Py_ssize_t size, index
        cdef const char *data
        cdef unsigned char *at
        cdef size_t start
        cdef long long number
        cdef double real
        if value is <PyObject *>None:
            return 1
        at = self.room(11)
        if value is <PyObject *>True or value is <PyObject *>False:
            at[0], at[1] = 2 << 3 | VARINT, value is <PyObject *>True
            self.upto(at + 2)
        elif is_int(value):
            if not signed_of(value, &number):
                return 0
            at[0] = 3 << 3 | VARINT
            self.upto(varint(at + 1, <u64>number))
        elif is_float(value):
            if not double_of(value, &real):
                return 0
            at[0] = 4 << 3 | FIXED64
            self.upto(little(at + 1, bits_of(real), 8))
        elif is_text(value) or is_bytes(value):
            if is_text(value):
                at[0] = 1 << 3 | LENGTH
                data = text_of(value, &size)
                if data is NULL:
                    return 0
            else:
                at[0] = 7 << 3 | LENGTH
                data, size = PyBytes_AS_STRING(<object>value), PyBytes_GET_SIZE(<object>value)
            self.upto(varint(at + 1, size))
            self.raw(data, size)
        elif depth >= MAX_DEPTH:
            return 0
        elif is_tuple(value) or is_list(value):
            start = self.begin(5 << 3 | LENGTH, 1)
            for index in range(size_of(value)):
                if not self.message(1 << 3 | LENGTH, item(value, index), depth + 1):
                    return 0
            self.end(start, 1)
        elif is_dict(value):
            start = self.begin(6 << 3 | LENGTH, 1)
            if not self.attributes(1 << 3 | LENGTH, value, depth + 1):
                return 0
            self.end(start, 1)
        else:
            return 0
        return 1

    cdef int message(self, unsigned char tag, PyObject *value, int depth) except -1:
        """Write an AnyValue."""
        cdef size_t start = self.begin(tag, 1)
        if not self.value(value, depth):
            return 0
        self.end(start, 1)
        return 1

    cdef int attributes(self, unsigned char tag, PyObject *attributes, int depth) except -1:
        """Write a KeyValue for each of them."""
        cdef PyObject *key
        cdef PyObject *value
        cdef Py_ssize_t position = 0, key_size, size
        cdef const char *name
        cdef const char *data
        cdef size_t start, before, inside
        cdef unsigned char *at
        if not is_dict(attributes):
            return 0
        while PyDict_Next(<object>attributes, &position, &key, &value):
            if not is_text(key):
                return 0
            name = text_of(key, &key_size)
            if name is NULL:
                return 0
            if is_text(value):
                data = text_of(value, &size)
                if data is NULL:
                    return 0
                inside = 1 + varint_size(size) + size
                before = 1 + varint_size(key_size) + key_size if key_size else 0
                at = self.room(before + inside + 24)
                at[0] = tag
                at = varint(at + 1, before + 1 + varint_size(inside) + inside)
                at = self.key(at, name, key_size)
                at[0] = 2 << 3 | LENGTH
                at = varint(at + 1, inside)
                at[0] = 1 << 3 | LENGTH
                at = varint(at + 1, size)
                memcpy(at, data, size)
                self.upto(at + size)
            else:
                start = self.begin(tag, 1)
                self.upto(self.key(self.room(key_size + 11), name, key_size))
                if not self.message(2 << 3 | LENGTH, value, depth):
                    return 0
                self.end(start, 1)
        return 1

    cdef inline unsigned char *key(self, unsigned char *at, const char *name, Py_ssize_t size) noexcept:
        if size:
            at[0] = 1 << 3 | LENGTH
            at = varint(at + 1, size)
            memcpy(at, name, size)
        return at + size

    cdef int mapping(self, unsigned char tag, object attributes) except -1:
        """Write the attributes of any mapping, as they are now."""
        if attributes is None:
            return 1
        if not is_dict(<PyObject *>attributes):
            attributes = snapshot(attributes)
        return self.attributes(tag, <PyObject *>attributes, 0)


cdef bint is_context(PyObject *context) noexcept:
    return type(<object>context) is SpanContext and size_of(context) == 6


cdef class Encoder:
    """Writes the records of one batch; those that are unusual by the source's own encoder, of `make`."""
    cdef Buffer own
    cdef object python

    def __cinit__(self, *_):
        if not is_loaded:
            load()
        self.own = Buffer()

    cdef object make(self):
        raise TypeError

    cdef int write(self, Buffer out, record) except -1:
        """Write the body of *record* and return 1, or return 0 for what is unusual."""
        return 0

    cdef int attempt(self, Buffer out, record) except -1:
        cdef size_t start = out.size
        try:
            if self.write(out, record):
                return 1
        except Exception:
            # The source's encoder meets it again, and tells.
            pass
        out.size = start
        return 0

    cdef object source(self):
        if self.python is None:
            self.python = self.make()
        return self.python

    cdef object resource_of(self, record):
        return record.resource

    cdef object scope_of(self, record):
        return record.instrumentation_scope

    def encode(self, record):
        return self.own.taken(0) if self.attempt(self.own, record) else self.source().encode(record)


def encode_each(records, encoder, refused, items_of=None):
    cdef Buffer out = Buffer()
    cdef Encoder ours = encoder if isinstance(encoder, Encoder) else None
    cdef size_t start
    cdef list group = None
    if not is_loaded:
        load()
    groups = Groups()
    resource = scope = None
    for record in records:
        start = out.begin(2 << 3 | LENGTH, 2)
        try:
            if ours is None:
                out.add_bytes(encoder.encode(record))
                from_resource, from_scope = record.resource, record.instrumentation_scope
            else:
                if not ours.attempt(out, record):
                    out.add_bytes(ours.source().encode(record))
                from_resource, from_scope = ours.resource_of(record), ours.scope_of(record)
            if group is None or from_resource is not resource or from_scope is not scope:
                others = groups.records_of(from_resource, from_scope)
                body = out.taken(start)
                out.size = start - 3
                if group is not None:
                    group.append(out.taken(0))
                resource, scope, group = from_resource, from_scope, others
                start = out.begin(2 << 3 | LENGTH, 2)
                out.add_bytes(body)
        except Exception as error:
            out.size = start - 3
            refused(error, 1 if items_of is None else items_of(record))
        else:
            out.end(start, 2)
    if group is not None:
        group.append(out.taken(0))
    return groups.encode()


cdef class AttributeEncoder(Encoder):
    cdef int field
    cdef unsigned char tag

    def __init__(self, int field):
        self.field, self.tag = field, field << 3 | LENGTH

    cdef object make(self):
        return PythonAttributeEncoder(self.field)

    cdef int write(self, Buffer out, attributes) except -1:
        return out.mapping(self.tag, attributes)

    def add_to(self, list parts, attributes):
        if self.attempt(self.own, attributes):
            parts.append(self.own.taken(0))
        else:
            self.source().add_to(parts, attributes)


def read_stored(span):
    try:
        attributes, events, links, ended = span._attributes, span._events, span._links, span._end_time
        return (
            span._context,
            span._parent,
            span._name,
            span._kind,
            span._start_time,
            ended,
            attributes._dict if ended else attributes.copy(),
            attributes.dropped,
            tuple(events) if events._dq else (),
            events.dropped,
            tuple(links) if links._dq else (),
            links.dropped,
            span._status,
        )
    except AttributeError:
        return read_published(span)


cdef class SpanEncoder(Encoder):
    # How the spans of the type before were read, and the status that the span before had.
    cdef object readers, kind, reader, status
    cdef bytes status_field

    cdef object make(self):
        return PythonSpanEncoder()

    cdef object contents(self, span):
        if type(span) is not self.kind:
            if self.readers is None:
                self.readers = Readers()
            self.kind, self.reader = type(span), self.readers[type(span)]
        return self.reader(span)

    # The private names are those of `otelctx.export.otlp.stored`.

    cdef object resource_of(self, span):
        return span.resource if self.reader is read_published else span._resource

    cdef object scope_of(self, span):
        return span.instrumentation_scope if self.reader is read_published else span._instrumentation_scope

    cdef int write(self, Buffer out, span) except -1:
        cdef tuple contents = self.contents(span)
        cdef PyObject *all = <PyObject *>contents
        cdef PyObject *context = item(all, 0)
        cdef PyObject *parent = item(all, 1)
        cdef u64 flags = 0x100
        if not is_context(context) or not out.identity(context):
            return 0
        state = <object>item(context, 4)
        if state is not DEFAULT_TRACE_STATE and state:
            state = ",".join([f"{key}={value}" for key, value in state.items()])
            if not out.text(3 << 3 | LENGTH, <PyObject *>state):
                return 0
        if parent is not <PyObject *>None:
            if not is_context(parent) or not out.span_id(4 << 3 | LENGTH, item(parent, 1)):
                return 0
            if <object>item(parent, 2):
                flags = 0x300
        return (
            out.text(5 << 3 | LENGTH, item(all, 2))
            and out.known(KINDS, item(all, 3))
            and out.fixed64(7 << 3 | FIXED64, item(all, 4))
            and out.fixed64(8 << 3 | FIXED64, item(all, 5))
            and out.attributes(9 << 3 | LENGTH, item(all, 6), 0)
            and out.count(10 << 3 | VARINT, item(all, 7))
            and self.events(out, contents[8])
            and out.count(12 << 3 | VARINT, item(all, 9))
            and self.links(out, contents[10])
            and out.count(14 << 3 | VARINT, item(all, 11))
            and self.add_status(out, contents[12])
            and out.flags(16 << 3 | FIXED32, flags)
        )

    cdef int events(self, Buffer out, events) except -1:
        cdef size_t start
        if type(events) is not tuple:
            return 0
        for event in <tuple>events:
            start = out.begin(11 << 3 | LENGTH, 2)
            time, name = event.timestamp, event.name
            if not out.fixed64(1 << 3 | FIXED64, <PyObject *>time) or not out.text(2 << 3 | LENGTH, <PyObject *>name):
                return 0
            dropped = event.dropped_attributes
            if not out.mapping(3 << 3 | LENGTH, event.attributes) or not out.count(4 << 3 | VARINT, <PyObject *>dropped):
                return 0
            out.end(start, 2)
        return 1

    cdef int links(self, Buffer out, links) except -1:
        cdef size_t start
        cdef PyObject *context
        if type(links) is not tuple:
            return 0
        for link in <tuple>links:
            start = out.begin(13 << 3 | LENGTH, 1)
            linked = link.context
            context = <PyObject *>linked
            if not is_context(context) or not out.identity(context):
                return 0
            dropped = link.dropped_attributes
            if not out.mapping(4 << 3 | LENGTH, link.attributes) or not out.count(5 << 3 | VARINT, <PyObject *>dropped):
                return 0
            out.flags(6 << 3 | FIXED32, 0x300 if <object>item(context, 2) else 0x100)
            out.end(start, 1)
        return 1

    cdef int add_status(self, Buffer out, status) except -1:
        cdef Py_ssize_t size
        if status is not self.status:
            if status is not None and status.description is not None:
                text = status.description
                if not is_text(<PyObject *>text) or text_of(<PyObject *>text, &size) is NULL:
                    return 0
            self.status_field, self.status = status_field(status), status
        if self.status_field is not None:
            out.add_bytes(self.status_field)
        return 1


cdef class LogEncoder(Encoder):
    cdef object make(self):
        return PythonLogEncoder()

    cdef int write(self, Buffer out, readable) except -1:
        cdef size_t start
        record = readable.log_record
        time, observed = record.timestamp, record.observed_timestamp
        severity, severity_text, body = record.severity_number, record.severity_text, record.body
        attributes, dropped, flags = record.attributes, readable.dropped_attributes, record.trace_flags
        trace_id, span_id, event_name = record.trace_id, record.span_id, record.event_name
        if not out.fixed64(1 << 3 | FIXED64, <PyObject *>time):
            return 0
        out.known(SEVERITIES, <PyObject *>severity)
        if not out.text(3 << 3 | LENGTH, <PyObject *>severity_text):
            return 0
        start = out.begin(5 << 3 | LENGTH, 1)
        if not out.value(<PyObject *>body, 0):
            return 0
        out.end(start, 1)
        if not out.mapping(6 << 3 | LENGTH, attributes) or not out.count(7 << 3 | VARINT, <PyObject *>dropped):
            return 0
        if flags:
            if type(flags) is not TraceFlags and type(flags) is not int:
                return 0
            out.flags(8 << 3 | FIXED32, <unsigned int>flags)
        if trace_id and not out.trace_id(9 << 3 | LENGTH, <PyObject *>trace_id):
            return 0
        if span_id and not out.span_id(10 << 3 | LENGTH, <PyObject *>span_id):
            return 0
        return out.fixed64(11 << 3 | FIXED64, <PyObject *>observed) and out.text(12 << 3 | LENGTH, <PyObject *>event_name)


cdef enum Shape:
    GAUGE
    SUM
    HISTOGRAM


cdef class PointEncoder(Encoder):
    cdef Shape shape

    cdef object make(self):
        return PythonPointEncoder()

    def gauge(self, point):
        self.shape = GAUGE
        return self.own.taken(0) if self.attempt(self.own, point) else self.source().gauge(point)

    def sum(self, point):
        self.shape = SUM
        return self.own.taken(0) if self.attempt(self.own, point) else self.source().sum(point)

    def histogram(self, point):
        self.shape = HISTOGRAM
        return self.own.taken(0) if self.attempt(self.own, point) else self.source().histogram(point)

    def exponential_histogram(self, point):
        return self.source().exponential_histogram(point)

    cdef int write(self, Buffer out, point) except -1:
        time = point.time_unix_nano
        if self.shape != GAUGE:
            start = point.start_time_unix_nano
            if not out.fixed64(2 << 3 | FIXED64, <PyObject *>start):
                return 0
        if not out.fixed64(3 << 3 | FIXED64, <PyObject *>time):
            return 0
        return self.distribution(out, point) if self.shape == HISTOGRAM else self.number(out, point)

    cdef int number(self, Buffer out, point) except -1:
        value = point.value
        if is_float(<PyObject *>value):
            out.double(4 << 3 | FIXED64, <PyObject *>value)
        if not self.exemplars(out, 5 << 3 | LENGTH, point.exemplars):
            return 0
        if not is_float(<PyObject *>value) and not out.sfixed64(6 << 3 | FIXED64, <PyObject *>value):
            return 0
        return out.mapping(7 << 3 | LENGTH, point.attributes)

    cdef int distribution(self, Buffer out, point) except -1:
        count, total, least, most = point.count, point.sum, point.min, point.max
        return (
            out.fixed64(4 << 3 | FIXED64, <PyObject *>count)
            and out.double(5 << 3 | FIXED64, <PyObject *>total)
            and out.packed(6 << 3 | LENGTH, point.bucket_counts, False)
            and out.packed(7 << 3 | LENGTH, point.explicit_bounds, True)
            and self.exemplars(out, 8 << 3 | LENGTH, point.exemplars)
            and out.mapping(9 << 3 | LENGTH, point.attributes)
            and out.double(11 << 3 | FIXED64, <PyObject *>least)
            and out.double(12 << 3 | FIXED64, <PyObject *>most)
        )

    cdef int exemplars(self, Buffer out, unsigned char tag, exemplars) except -1:
        cdef size_t start
        if type(exemplars) is not list and type(exemplars) is not tuple:
            return 0
        for exemplar in exemplars:
            start = out.begin(tag, 1)
            time, value = exemplar.time_unix_nano, exemplar.value
            span_id, trace_id = exemplar.span_id, exemplar.trace_id
            if not out.fixed64(2 << 3 | FIXED64, <PyObject *>time):
                return 0
            if is_float(<PyObject *>value):
                out.double(3 << 3 | FIXED64, <PyObject *>value)
            if span_id is not None and trace_id is not None and not (
                out.span_id(4 << 3 | LENGTH, <PyObject *>span_id) and out.trace_id(5 << 3 | LENGTH, <PyObject *>trace_id)
            ):
                return 0
            if not is_float(<PyObject *>value) and not out.sfixed64(6 << 3 | FIXED64, <PyObject *>value):
                return 0
            if not out.mapping(7 << 3 | LENGTH, exemplar.filtered_attributes):
                return 0
            out.end(start, 1)
        return 1
