package milepost

import (
	"encoding/json"
	"unsafe"
)

// Where the host leaves what it answers. Read before the next call.
var area [8]uint64

func answer[T any]() T { return *(*T)(unsafe.Pointer(&area)) }

var out = unsafe.Pointer(&area)

type hostError struct {
	code, message str
	transient     bool
}

func (e hostError) error() error { return HostError{e.code.text(), e.message.text(), e.transient} }

// A result whose value is aligned to 4 bytes, or to 8.
type result4 struct {
	isError bool
	value   [5]uint32
}
type result8 struct {
	isError bool
	value   [4]uint64
}

func done4[T any]() (T, error) {
	r := answer[result4]()
	if r.isError {
		var none T
		return none, (*hostError)(unsafe.Pointer(&r.value)).error()
	}
	return *(*T)(unsafe.Pointer(&r.value)), nil
}

func done8[T any]() (T, error) {
	r := answer[result8]()
	if r.isError {
		var none T
		return none, (*hostError)(unsafe.Pointer(&r.value)).error()
	}
	return *(*T)(unsafe.Pointer(&r.value)), nil
}

// --- who is running ---

//go:wasmimport milepost:step/context@0.1.0 run-id
func contextRunID(out unsafe.Pointer)

//go:wasmimport milepost:step/context@0.1.0 path
func contextPath(out unsafe.Pointer)

//go:wasmimport milepost:step/context@0.1.0 idempotency-key
func contextKey(out unsafe.Pointer)

//go:wasmimport milepost:step/context@0.1.0 attempt
func contextAttempt() uint32

//go:wasmimport milepost:step/context@0.1.0 resume-state
func contextResumeState(out unsafe.Pointer)

//go:wasmimport milepost:step/context@0.1.0 resume-signal
func contextResumeSignal(out unsafe.Pointer)

//go:wasmimport milepost:step/context@0.1.0 output-of
func contextOutputOf(step unsafe.Pointer, n uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/context@0.1.0 cancel-requested
func contextCancel() uint32

// RunID is the id of the run.
func RunID() string { contextRunID(out); return answer[str]().text() }

// Path is where the execution stands, such as "fix#2/test".
func Path() string { contextPath(out); return answer[str]().text() }

// IdempotencyKey is the same for every attempt of this step: hand it to remote APIs.
func IdempotencyKey() string { contextKey(out); return answer[str]().text() }

// Attempt is 1 on the first try.
func Attempt() uint32 { return contextAttempt() }

// ResumeState is what the last Pause saved, nil where there was none.
func ResumeState() json.RawMessage { contextResumeState(out); return answer[maybe]().json() }

// ResumeSignal is what came with the signal that woke the step.
func ResumeSignal() json.RawMessage { contextResumeSignal(out); return answer[maybe]().json() }

// OutputOf is the output of an earlier step that the workflow lets this one read.
func OutputOf(step string) json.RawMessage {
	p, n := lend(step)
	contextOutputOf(p, n, out)
	return answer[maybe]().json()
}

// CancelRequested says whether someone asked the run to stop.
func CancelRequested() bool { return contextCancel() != 0 }

//go:wasmimport milepost:step/config@0.1.0 get
func configGet(key unsafe.Pointer, n uint32, out unsafe.Pointer)

// Config is a setting from the workflow file.
func Config(key string) json.RawMessage {
	p, n := lend(key)
	configGet(p, n, out)
	return answer[maybe]().json()
}

//go:wasmimport milepost:step/secrets@0.1.0 placeholder
func secretsPlaceholder(name unsafe.Pointer, n uint32, out unsafe.Pointer)

// Secret is a stand-in that the host replaces inside outgoing requests.
func Secret(name string) (string, error) {
	p, n := lend(name)
	secretsPlaceholder(p, n, out)
	text, err := done4[str]()
	return text.text(), err
}

// --- log and progress ---

// Level of a line in the log.
type Level uint32

// The levels.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

//go:wasmimport milepost:step/log@0.1.0 emit
func logEmit(level uint32, message unsafe.Pointer, n uint32, fields unsafe.Pointer, count uint32)

// Log writes a line, with fields as name, value, name, value.
func Log(level Level, message string, fields ...string) {
	pairs := make([]str, len(fields)&^1)
	for i := range pairs {
		pairs[i] = keep(fields[i])
	}
	p, n := lend(message)
	logEmit(uint32(level), p, n, unsafe.Pointer(unsafe.SliceData(pairs)), uint32(len(pairs)/2))
}

//go:wasmimport milepost:step/progress@0.1.0 report
func progressReport(done uint64, some uint32, total uint64, message unsafe.Pointer, n uint32)

// Progress is shown live; a total of 0 is an unknown one.
func Progress(done, total uint64, message string) {
	p, n := lend(message)
	some := uint32(0)
	if total > 0 {
		some = 1
	}
	progressReport(done, some, total, p, n)
}

// --- memo ---

//go:wasmimport milepost:step/memo@0.1.0 begin
func memoBegin(key unsafe.Pointer, n uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/memo@0.1.0 [static]ticket.settle
func ticketSettle(ticket uint32, value unsafe.Pointer, n uint32, out unsafe.Pointer)

// Once does the work once per key over all attempts of the step; later ones get what it returned.
func Once[T any](key string, work func() (T, error)) (T, error) {
	var value T
	p, n := lend(key)
	memoBegin(p, n, out)
	entry, err := done4[struct {
		fresh bool
		value str
	}]()
	if err != nil {
		return value, err
	}
	if !entry.fresh {
		return Parse[T](entry.value.bytes())
	}
	if value, err = work(); err != nil {
		return value, err
	}
	text, err := encode(value)
	if err != nil {
		return value, err
	}
	p, n = lend(text)
	ticketSettle(entry.value.ptr, p, n, out)
	_, err = done4[struct{}]()
	return value, err
}

// --- kv ---

//go:wasmimport milepost:step/kv@0.1.0 [static]bucket.open
func kvOpen(name unsafe.Pointer, n uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/kv@0.1.0 [method]bucket.get
func kvGet(bucket uint32, key unsafe.Pointer, n uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/kv@0.1.0 [method]bucket.put
func kvPut(bucket uint32, key unsafe.Pointer, n uint32, value unsafe.Pointer, m uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/kv@0.1.0 [method]bucket.replace
func kvReplace(bucket uint32, key unsafe.Pointer, n uint32, some uint32, over uint64, value unsafe.Pointer, m uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/kv@0.1.0 [method]bucket.delete
func kvDelete(bucket uint32, key unsafe.Pointer, n uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/kv@0.1.0 [method]bucket.keys
func kvKeys(bucket uint32, prefix unsafe.Pointer, n uint32, some uint32, after unsafe.Pointer, m uint32, limit uint32, out unsafe.Pointer)

// Bucket is state that outlives the step.
type Bucket struct{ handle uint32 }

// Item is a value and the revision that wrote it.
type Item struct {
	Value    []byte
	Revision uint64
}

// OpenBucket opens a bucket that the workflow allows.
func OpenBucket(name string) (Bucket, error) {
	p, n := lend(name)
	kvOpen(p, n, out)
	handle, err := done4[uint32]()
	return Bucket{handle}, err
}

// Get is nil where there is no such key.
func (b Bucket) Get(key string) (*Item, error) {
	p, n := lend(key)
	kvGet(b.handle, p, n, out)
	found, err := done8[struct {
		some bool
		item struct {
			value    str
			revision uint64
		}
	}]()
	if err != nil || !found.some {
		return nil, err
	}
	return &Item{found.item.value.bytes(), found.item.revision}, nil
}

// Put returns the new revision.
func (b Bucket) Put(key string, value []byte) (uint64, error) {
	p, n := lend(key)
	v, m := lendBytes(value)
	kvPut(b.handle, p, n, v, m, out)
	return done8[uint64]()
}

// Replace writes only over that revision (nil: only if absent); else the error has the code "conflict".
func (b Bucket) Replace(key string, over *uint64, value []byte) (uint64, error) {
	p, n := lend(key)
	v, m := lendBytes(value)
	some, revision := uint32(0), uint64(0)
	if over != nil {
		some, revision = 1, *over
	}
	kvReplace(b.handle, p, n, some, revision, v, m, out)
	return done8[uint64]()
}

// Delete removes a key, if it is there.
func (b Bucket) Delete(key string) error {
	p, n := lend(key)
	kvDelete(b.handle, p, n, out)
	_, err := done4[struct{}]()
	return err
}

// Keys are sorted; continue after the last one received.
func (b Bucket) Keys(prefix, after string, limit uint32) ([]string, error) {
	p, n := lend(prefix)
	a, m := lend(after)
	some := uint32(0)
	if after != "" {
		some = 1
	}
	kvKeys(b.handle, p, n, some, a, m, limit, out)
	list, err := done4[str]()
	if err != nil || list.len == 0 {
		return nil, err
	}
	keys := []string{}
	for _, key := range unsafe.Slice((*str)(at(list.ptr)), list.len) {
		keys = append(keys, key.text())
	}
	return keys, nil
}

// --- artifacts ---

//go:wasmimport milepost:step/artifacts@0.1.0 [static]writer.create
func writerCreate(name unsafe.Pointer, n uint32, media unsafe.Pointer, m uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/artifacts@0.1.0 [method]writer.write
func writerWrite(writer uint32, chunk unsafe.Pointer, n uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/artifacts@0.1.0 [static]writer.finish
func writerFinish(writer uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/artifacts@0.1.0 [static]reader.open
func readerOpen(digest unsafe.Pointer, n uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/artifacts@0.1.0 [method]reader.read
func readerRead(reader uint32, offset uint64, limit uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/artifacts@0.1.0 [resource-drop]reader
func readerDrop(reader uint32)

// Artifact is large or binary data, by the digest of its content.
type Artifact struct {
	Digest    string `json:"digest"`
	Size      uint64 `json:"size"`
	MediaType string `json:"media_type"`
}

type artifact struct {
	digest    str
	size      uint64
	mediaType str
}

const chunk = 1 << 20

// WriteArtifact keeps bytes under a name.
func WriteArtifact(name, mediaType string, content []byte) (Artifact, error) {
	p, n := lend(name)
	q, m := lend(mediaType)
	writerCreate(p, n, q, m, out)
	writer, err := done4[uint32]()
	if err != nil {
		return Artifact{}, err
	}
	for len(content) > 0 {
		part := content[:min(len(content), chunk)]
		content = content[len(part):]
		p, n = lendBytes(part)
		writerWrite(writer, p, n, out)
		if _, err = done4[struct{}](); err != nil {
			return Artifact{}, err
		}
	}
	writerFinish(writer, out)
	a, err := done8[artifact]()
	return Artifact{a.digest.text(), a.size, a.mediaType.text()}, err
}

// ReadArtifact reads up to limit bytes from offset on; fewer only at the end.
func ReadArtifact(digest string, offset uint64, limit uint32) ([]byte, error) {
	p, n := lend(digest)
	readerOpen(p, n, out)
	reader, err := done4[uint32]()
	if err != nil {
		return nil, err
	}
	defer readerDrop(reader)
	readerRead(reader, offset, limit, out)
	bytes, err := done4[str]()
	return bytes.bytes(), err
}

// --- clock and random ---

//go:wasmimport milepost:step/clock@0.1.0 now
func clockNow() uint64

//go:wasmimport milepost:step/clock@0.1.0 sleep
func clockSleep(millis uint64)

//go:wasmimport milepost:step/random@0.1.0 bytes
func randomBytes(count uint32, out unsafe.Pointer)

// Now is in nanoseconds since 1970. time.Now is when the call began.
func Now() uint64 { return clockNow() }

// Sleep is for seconds; return Pause with UntilNanos for longer.
func Sleep(millis uint64) { clockSleep(millis) }

// Random draws bytes that a replay draws again.
func Random(count uint32) []byte { randomBytes(count, out); return answer[str]().bytes() }

// --- http ---

//go:wasmimport milepost:step/http@0.1.0 [constructor]request
func httpRequest(method unsafe.Pointer, n uint32, url unsafe.Pointer, m uint32) uint32

//go:wasmimport milepost:step/http@0.1.0 [method]request.header
func httpHeader(request uint32, name unsafe.Pointer, n uint32, value unsafe.Pointer, m uint32)

//go:wasmimport milepost:step/http@0.1.0 [method]request.body
func httpBody(request uint32, body unsafe.Pointer, n uint32)

//go:wasmimport milepost:step/http@0.1.0 [static]request.send
func httpSend(request uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/http@0.1.0 [method]response.status
func httpStatus(response uint32) uint32

//go:wasmimport milepost:step/http@0.1.0 [method]response.body
func httpResponseBody(response uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/http@0.1.0 [resource-drop]response
func httpResponseDrop(response uint32)

// Response is what a server answered: 4xx and 5xx, too.
type Response struct {
	Status int
	Body   []byte
}

// Request sends one request, with headers as name, value, name, value.
func Request(method, url string, body []byte, headers ...string) (Response, error) {
	p, n := lend(method)
	u, m := lend(url)
	request := httpRequest(p, n, u, m)
	for i := 0; i+1 < len(headers); i += 2 {
		p, n = lend(headers[i])
		u, m = lend(headers[i+1])
		httpHeader(request, p, n, u, m)
	}
	if body != nil {
		p, n = lendBytes(body)
		httpBody(request, p, n)
	}
	httpSend(request, out)
	response, err := done4[uint32]()
	if err != nil {
		return Response{}, err
	}
	defer httpResponseDrop(response)
	status := int(httpStatus(response))
	httpResponseBody(response, out)
	bytes, err := done4[str]()
	return Response{status, bytes.bytes()}, err
}

// --- exec ---

//go:wasmimport milepost:step/exec@0.1.0 [constructor]command
func execCommand(program unsafe.Pointer, n uint32) uint32

//go:wasmimport milepost:step/exec@0.1.0 [method]command.arg
func execArg(command uint32, value unsafe.Pointer, n uint32)

//go:wasmimport milepost:step/exec@0.1.0 [method]command.stdin
func execStdin(command uint32, bytes unsafe.Pointer, n uint32)

//go:wasmimport milepost:step/exec@0.1.0 [static]command.run
func execRun(command uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/exec@0.1.0 [method]outcome.exit-code
func execExitCode(outcome uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/exec@0.1.0 [method]outcome.stdout
func execStdout(outcome uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/exec@0.1.0 [method]outcome.stderr
func execStderr(outcome uint32, out unsafe.Pointer)

//go:wasmimport milepost:step/exec@0.1.0 [resource-drop]outcome
func execOutcomeDrop(outcome uint32)

// Finished is how a program ended. ExitCode is -1 when a signal or its timeout ended it.
type Finished struct {
	ExitCode       int
	Stdout, Stderr []byte
}

// RunProgram runs a program that the workflow allows, without a shell.
func RunProgram(program string, stdin []byte, args ...string) (Finished, error) {
	p, n := lend(program)
	command := execCommand(p, n)
	for _, arg := range args {
		p, n = lend(arg)
		execArg(command, p, n)
	}
	if stdin != nil {
		p, n = lendBytes(stdin)
		execStdin(command, p, n)
	}
	execRun(command, out)
	outcome, err := done4[uint32]()
	if err != nil {
		return Finished{}, err
	}
	defer execOutcomeDrop(outcome)
	ended := Finished{ExitCode: -1}
	execExitCode(outcome, out)
	if code := answer[struct {
		some bool
		code int32
	}](); code.some {
		ended.ExitCode = int(code.code)
	}
	execStdout(outcome, out)
	ended.Stdout = answer[str]().bytes()
	execStderr(outcome, out)
	ended.Stderr = answer[str]().bytes()
	return ended, nil
}
