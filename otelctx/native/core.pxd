# What the other twins know of these.

cdef class Request:
    cdef object __weakref__
    cdef public object values  # a dict, or what a dict was made into
    cdef public object carried
    cdef public object properties
    cdef public dict origins
    cdef public object link
    cdef public object former
    cdef public object broken_seal
    cdef public object entry_span
    cdef public dict hashes
    cdef public object stamped
    cdef public object sent
    cdef public bint served
    cdef public Py_ssize_t writes
    cdef public tuple listeners
    cdef public object version
    cdef tuple _shown

    cdef int open(self, object values, object carried, object properties) except -1


cdef class Link(dict):
    cdef public Request request
    cdef public Link parent
    cdef public object bound  # these three as Request.values
    cdef public object members
    cdef public object near
    cdef public int depth
    cdef bint is_shared  # what is bound is a block's, which may enter it again

    cdef int put(self, Request request, Link parent, object bound, object members) except -1


cdef int load() except -1
cdef object new_request(object values, object carried, object properties)
cdef Link new_layer(Request request, Link parent, object bound)
cdef object declared_now()
cdef bint fits(object name, object value) except -1
cdef object raw_context()
cdef object blank_context()
cdef object span_key()
cdef bint is_layer(object found) noexcept
cdef object baggage_of(object context)
cdef object accept(object name, object value)
cpdef object here()
cpdef object enter(object context, Py_ssize_t depth=*)
cpdef object enter_own(object context)
cpdef object restore(object token)
cpdef object span_in(object context)
cpdef object with_span(object context, object span)
cpdef object with_layer(object context, object layer)
cpdef object layer_in(object context)
cpdef object layer_here(object context)
cpdef object restore(object token)
cdef object entered(object context, object current)
