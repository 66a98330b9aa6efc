// Package milepost is for writing Milepost steps in Go: for the world `milepost:step/step@0.1.0` (wit/v0.1.0).
//
//	package main
//
//	import "milepost"
//
//	type Person struct {
//		Name string `json:"name"`
//	}
//
//	func main() {}
//
//	func init() {
//		milepost.Plugin(milepost.Manifest{Name: "greeter", Version: "0.1.0"})
//		milepost.Step("greet", func(p Person) (string, error) { return "Hello, " + p.Name, nil })
//	}
//
// A step returns its output, or an error: Failed, Retryable, Pause, Cancelled, or any other, which is a failure with the code
// "error". The types of input and output become the JSON Schemas of the manifest. Register in init: main is not called.
//
// abi.go is what the component model needs below; nothing there is for use.
package milepost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Failed ends a step: it failed. Detail is written as JSON.
type Failed struct {
	Code, Message string
	Detail        any
}

// Retryable ends a step: it may work later, after AfterMillis or when the retry policy of the step says.
type Retryable struct {
	Code, Message string
	Detail        any
	AfterMillis   uint64
	Provider      string
}

// Pause stops the run, until a time (nanoseconds since 1970), a signal, or a person resumes it. State comes back from
// ResumeState in the next attempt.
type Pause struct {
	Code, Reason string
	State        any
	UntilNanos   uint64
	Signal       string
	Provider     string
}

// Cancelled says that a cancellation was noticed and cleaned up after.
type Cancelled struct{ Message string }

// HostError is why the host refused a call. Returned by a step, it is retryable where it is transient, else a failure.
type HostError struct {
	Code, Message string
	Transient     bool
}

func (e Failed) Error() string    { return e.Code + ": " + e.Message }
func (e Retryable) Error() string { return e.Code + ": " + e.Message }
func (e Pause) Error() string     { return e.Code + ": " + e.Reason }
func (e Cancelled) Error() string { return e.Message }
func (e HostError) Error() string { return e.Code + ": " + e.Message }

// Manifest is what a plugin says beside its steps.
type Manifest struct {
	Name        string   `json:"name"`
	Version     string   `json:"version,omitempty"`
	Description string   `json:"description,omitempty"`
	Hosts       []string `json:"hosts,omitempty"`
	Buckets     []string `json:"buckets,omitempty"`
	Secrets     []string `json:"secrets,omitempty"`
}

type shape struct {
	Description string `json:"description,omitempty"`
	Input       any    `json:"input"`
	Output      any    `json:"output"`
}

var (
	manifest Manifest
	shapes   = map[string]shape{}
	steps    = map[string]func(string) (string, error){}
)

// Plugin says what the plugin is.
func Plugin(m Manifest) { manifest = m }

// Step makes a function a step. Use json.RawMessage for values of any shape.
func Step[In, Out any](name string, run func(In) (Out, error)) {
	shapes[name] = shape{Input: Schema[In](), Output: Schema[Out]()}
	steps[name] = func(text string) (string, error) {
		in, err := Parse[In]([]byte(text))
		if err != nil {
			return "", err
		}
		out, err := run(in)
		if err != nil {
			return "", err
		}
		return encode(out)
	}
}

// Raw makes a function from JSON text to JSON text a step.
func Raw(name string, run func(string) (string, error)) {
	shapes[name] = shape{Input: true, Output: true}
	steps[name] = run
}

// Parse reads JSON as a type; what does not fit is Failed with the code "invalid_input".
func Parse[T any](text []byte) (T, error) {
	var value T
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		return value, Failed{Code: "invalid_input", Message: err.Error()}
	}
	return value, nil
}

func encode(value any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", Failed{Code: "invalid_output", Message: err.Error()}
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

func describe() string {
	text, err := encode(struct {
		Manifest
		Steps map[string]shape `json:"steps"`
	}{manifest, shapes})
	if err != nil {
		panic(err)
	}
	return text
}

// run never panics for what a step did: a panic is a failure with the code "panic".
func run(name, input string) (output string, err error) {
	defer func() {
		if what := recover(); what != nil {
			err = Failed{Code: "panic", Message: fmt.Sprint(what)}
		}
	}()
	step, found := steps[name]
	if !found {
		return "", Failed{Code: "unknown_step", Message: "the plugin has no step `" + name + "`"}
	}
	return step(input)
}

// outcome brings any error into one of the four.
func outcome(err error) error {
	var host HostError
	if errors.As(err, &host) {
		if host.Transient {
			return Retryable{Code: host.Code, Message: host.Message}
		}
		return Failed{Code: host.Code, Message: host.Message}
	}
	var failed Failed
	var retryable Retryable
	var pause Pause
	var cancelled Cancelled
	switch {
	case errors.As(err, &failed):
		return failed
	case errors.As(err, &retryable):
		return retryable
	case errors.As(err, &pause):
		return pause
	case errors.As(err, &cancelled):
		return cancelled
	default:
		return Failed{Code: "error", Message: err.Error()}
	}
}

// Schema is the JSON Schema of a type.
func Schema[T any]() any { return schemaOf(reflect.TypeFor[T]()) }

func schemaOf(t reflect.Type) any {
	type object = map[string]any
	if t == reflect.TypeFor[json.RawMessage]() {
		return true
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Pointer:
		return object{"anyOf": []any{schemaOf(t.Elem()), object{"type": "null"}}}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string"}
		}
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		properties, required := object{}, []string{}
		for i := range t.NumField() {
			field := t.Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.IsExported() || name == "-" {
				continue
			}
			if name == "" {
				name = field.Name
			}
			properties[name] = schemaOf(field.Type)
			if !strings.Contains(options, "omitempty") && field.Type.Kind() != reflect.Pointer {
				required = append(required, name)
			}
		}
		return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	default:
		return true
	}
}
