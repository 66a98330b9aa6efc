package milepost

// What the component model needs: exports, and how values lie in memory.

import (
	"encoding/json"
	"runtime"
	"unsafe"
)

// Pointers of the component model have 32 bits; Go's have 64.
type str struct {
	ptr, len uint32
}

// A text of ours, for a call that ends before this one does.
func lend(text string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(text)), uint32(len(text))
}

func lendBytes(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

// What the host wrote into memory of cabi_realloc.
func (s str) text() string { return string(s.bytes()) }
func (s str) bytes() []byte {
	if s.len == 0 {
		return nil
	}
	return append([]byte(nil), unsafe.Slice((*byte)(at(s.ptr)), s.len)...)
}

// What is there stays where it is: it was pinned.
func at(ptr uint32) unsafe.Pointer { return unsafe.Pointer(uintptr(ptr)) }

type maybe struct {
	some  bool
	value str
}

// Nil where there is none.
func (m maybe) json() json.RawMessage {
	if !m.some {
		return nil
	}
	return m.value.bytes()
}

var (
	started bool
	early   [128 << 10]byte // for what starts the program, before there is a heap
	earlyN  uintptr
	given   runtime.Pinner // what the host wrote
	kept    runtime.Pinner // what the host is to read
)

func init() { started = true }

//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if !started {
		base := uintptr(unsafe.Pointer(&early[0]))
		free := (base+earlyN+uintptr(align)-1)&^(uintptr(align)-1) - base
		earlyN = free + uintptr(size)
		if earlyN > uintptr(len(early)) {
			panic("no room before the start")
		}
		return unsafe.Pointer(&early[free])
	}
	words := make([]uint64, (size+7)/8+1)
	place := unsafe.Pointer(unsafe.SliceData(words))
	given.Pin(place)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(place), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return place
}

func keep(text string) str {
	ptr, n := lend(text)
	if n > 0 {
		kept.Pin(ptr)
	}
	return str{uint32(uintptr(ptr)), n}
}

func keepMaybe(text string, some bool) maybe {
	if !some {
		return maybe{}
	}
	return maybe{true, keep(text)}
}

func keepDetail(value any) maybe {
	if value == nil {
		return maybe{}
	}
	text, err := encode(value)
	return keepMaybe(text, err == nil)
}

type maybeU64 struct {
	some  bool
	value uint64
}

type failure struct {
	code, message str
	detail        maybe
}

type retry struct {
	cause    failure
	after    maybeU64
	provider maybe
}

type paused struct {
	code, reason  str
	provider      maybe
	until         maybeU64
	signal, state maybe
}

// result<json, step-error>: the largest case decides about size and alignment.
var result struct {
	isError uint8
	_       uint64Aligned
	tag     uint8
	_       uint64Aligned
	body    [72]byte
}

type uint64Aligned [0]uint64

//go:wasmexport milepost:step/guest@0.1.0#describe
func exportDescribe() unsafe.Pointer {
	text := keep(describe())
	*(*str)(unsafe.Pointer(&result)) = text
	return unsafe.Pointer(&result)
}

//go:wasmexport cabi_post_milepost:step/guest@0.1.0#describe
func postDescribe(_ unsafe.Pointer) { kept.Unpin() }

//go:wasmexport milepost:step/guest@0.1.0#run
func exportRun(step, stepLen, input, inputLen uint32) unsafe.Pointer {
	name, text := str{step, stepLen}.text(), str{input, inputLen}.text()
	given.Unpin()
	setClock(clockNow())
	output, err := run(name, text)
	given.Unpin()
	body := unsafe.Pointer(&result.body)
	if err == nil {
		result.isError = 0
		*(*str)(unsafe.Pointer(&result.tag)) = keep(output)
		return unsafe.Pointer(&result)
	}
	result.isError = 1
	switch e := outcome(err).(type) {
	case Retryable:
		result.tag = 0
		*(*retry)(body) = retry{
			failure{keep(e.Code), keep(e.Message), keepDetail(e.Detail)},
			maybeU64{e.AfterMillis > 0, e.AfterMillis},
			keepMaybe(e.Provider, e.Provider != ""),
		}
	case Failed:
		result.tag = 1
		*(*failure)(body) = failure{keep(e.Code), keep(e.Message), keepDetail(e.Detail)}
	case Pause:
		result.tag = 2
		*(*paused)(body) = paused{
			keep(e.Code), keep(e.Reason), keepMaybe(e.Provider, e.Provider != ""),
			maybeU64{e.UntilNanos > 0, e.UntilNanos},
			keepMaybe(e.Signal, e.Signal != ""), keepDetail(e.State),
		}
	case Cancelled:
		result.tag = 3
		*(*str)(body) = keep(e.Message)
	}
	return unsafe.Pointer(&result)
}

//go:wasmexport cabi_post_milepost:step/guest@0.1.0#run
func postRun(_ unsafe.Pointer) { kept.Unpin() }

// The adapter's: what time.Now says until it is set again.
//
//go:wasmimport wasi_snapshot_preview1 step_set_now
func setClock(nanos uint64)
