# What the other twins know of these.

from otelctx.native.core cimport Link


cdef class HeaderTexts:
    cdef public dict _one
    cdef public object _all


cdef list echoed_in(Link layer)
cpdef object entry_span_of(object layer)
