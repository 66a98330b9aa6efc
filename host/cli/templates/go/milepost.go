// What the host and the steps say to each other, as the component model lays it out in memory. Steps are in step.go.
package main

import (
	"encoding/json"
	"runtime"
	"unsafe"
)

// Failed ends the step: trying again would change nothing.
type Failed struct{ Code, Message string }

// Retryable may work later, when the retry policy of the step says.
type Retryable struct{ Code, Message string }

// Paused stops the run here. Signal and State (JSON) may be left empty; the next attempt gets both back.
type Paused struct{ Code, Reason, Signal, State string }

func (e Failed) Error() string    { return e.Code + ": " + e.Message }
func (e Retryable) Error() string { return e.Code + ": " + e.Message }
func (e Paused) Error() string    { return e.Code + ": " + e.Reason }

// Levels of the log.
const (
	Trace = iota
	Debug
	Info
	Warn
	Error
)

// Log writes a line into the log of the step.
func Log(level uint32, message string) {
	logEmit(level, unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)), nil, 0)
}

// ResumeState is what the last pause kept.
func ResumeState() (string, bool) {
	var it maybe
	resumeState(unsafe.Pointer(&it))
	return it.text()
}

// ResumeSignal is what came with the signal that ended the pause.
func ResumeSignal() (string, bool) {
	var it maybe
	resumeSignal(unsafe.Pointer(&it))
	return it.text()
}

// Now is nanoseconds since 1970.
func Now() uint64 { return clockNow() }

//go:wasmimport milepost:step/log@0.1.0 emit
func logEmit(level uint32, text unsafe.Pointer, len uint32, fields unsafe.Pointer, count uint32)

//go:wasmimport milepost:step/context@0.1.0 resume-state
func resumeState(into unsafe.Pointer)

//go:wasmimport milepost:step/context@0.1.0 resume-signal
func resumeSignal(into unsafe.Pointer)

//go:wasmimport milepost:step/clock@0.1.0 now
func clockNow() uint64

// An optional text from the host.
type maybe struct {
	some uint32
	ptr  uint32
	len  uint32
}

func (m maybe) text() (string, bool) {
	if m.some&0xff == 0 {
		return "", false
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(uintptr(m.ptr))), m.len)), true
}

var (
	started bool
	early   [128 << 10]byte // asked for before Go's own memory is set up
	earlyN  uintptr
	taken   runtime.Pinner // by the host for what it hands over
	given   runtime.Pinner // what is handed to the host
	result  [13]uint64
	text    [2]uint32
)

func init() { started = true }
func main() {}

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if !started {
		base := uintptr(unsafe.Pointer(&early[0]))
		at := (base+earlyN+uintptr(align)-1)&^(uintptr(align)-1) - base
		if earlyN = at + uintptr(size); earlyN > uintptr(len(early)) {
			panic("no room before the start")
		}
		return unsafe.Pointer(&early[at])
	}
	room := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8+1)))
	taken.Pin(room)
	if old != nil {
		copy(unsafe.Slice((*byte)(room), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return room
}

// Where a text is, for the host.
func place(s string) (uint32, uint32) {
	p := unsafe.Pointer(unsafe.StringData(s))
	if len(s) > 0 {
		given.Pin(p)
	}
	return uint32(uintptr(p)), uint32(len(s))
}

//go:wasmexport milepost:step/guest@0.1.0#describe
func describe() unsafe.Pointer {
	text[0], text[1] = place(manifest)
	return unsafe.Pointer(&text)
}

//go:wasmexport milepost:step/guest@0.1.0#run
func run(name unsafe.Pointer, nameLen uint32, input unsafe.Pointer, inputLen uint32) unsafe.Pointer {
	step := string(unsafe.Slice((*byte)(name), nameLen))
	in := []byte(string(unsafe.Slice((*byte)(input), inputLen)))
	result = [13]uint64{}
	words := unsafe.Slice((*uint32)(unsafe.Pointer(&result)), 26)
	output, err := any(nil), error(Failed{"unknown_step", "there is no step " + step})
	if f, ok := steps[step]; ok {
		output, err = f(in)
	}
	if err == nil {
		var encoded []byte
		if encoded, err = json.Marshal(output); err == nil {
			words[2], words[3] = place(string(encoded))
			return unsafe.Pointer(&result)
		}
	}
	words[0] = 1
	switch e := err.(type) {
	case Retryable:
		words[4], words[5] = place(e.Code)
		words[6], words[7] = place(e.Message)
	case Paused:
		words[2] = 2
		words[4], words[5] = place(e.Code)
		words[6], words[7] = place(e.Reason)
		if e.Signal != "" {
			words[16] = 1
			words[17], words[18] = place(e.Signal)
		}
		if e.State != "" {
			words[19] = 1
			words[20], words[21] = place(e.State)
		}
	default:
		failed, ok := err.(Failed)
		if !ok {
			failed = Failed{"failed", err.Error()}
		}
		words[2] = 1
		words[4], words[5] = place(failed.Code)
		words[6], words[7] = place(failed.Message)
	}
	return unsafe.Pointer(&result)
}

//go:wasmexport cabi_post_milepost:step/guest@0.1.0#run
func afterRun(_ unsafe.Pointer) {
	given.Unpin()
	taken.Unpin()
}
