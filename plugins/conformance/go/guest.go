// The conformance guest in Go. What each step has to do: plugins/conformance/README.md.
package main

import (
	"encoding/json"
	"errors"
	"strconv"

	"milepost"
)

type none struct{}

type message struct {
	Message string `json:"message"`
}

type address struct {
	URL string `json:"url"`
}

type number struct {
	N int `json:"n"`
}

func main() {}

func init() {
	milepost.Plugin(milepost.Manifest{Name: "conformance-go", Version: "0.1.0", Buckets: []string{"b"}})
	milepost.Step("echo", func(in json.RawMessage) (json.RawMessage, error) { return in, nil })
	milepost.Step("log", func(in message) (json.RawMessage, error) {
		milepost.Log(milepost.Warn, in.Message, "from", "guest")
		return nil, nil
	})
	milepost.Step("progress", func(none) (json.RawMessage, error) {
		milepost.Progress(1, 2, "half")
		milepost.Progress(2, 2, "done")
		return nil, nil
	})
	milepost.Step("pause", func(none) (json.RawMessage, error) {
		if state := milepost.ResumeState(); state != nil {
			return state, nil
		}
		state := map[string]any{"page": 2, "ü": nil}
		return nil, milepost.Pause{Code: "needs-input", Reason: "waits for a person", State: state}
	})
	milepost.Step("retry", func(none) (uint32, error) {
		if milepost.Attempt() == 1 {
			return 0, milepost.Retryable{Code: "busy", Message: "not yet", AfterMillis: 300, Provider: "acme"}
		}
		return milepost.Attempt(), nil
	})
	milepost.Step("fail", func(in json.RawMessage) (json.RawMessage, error) {
		return nil, milepost.Failed{Code: "no-such-thing", Message: "nichts für dich 🌍", Detail: in}
	})
	milepost.Step("clock", func(none) (any, error) {
		before := milepost.Now()
		milepost.Sleep(2)
		passed := milepost.Now()-before >= 2_000_000
		return map[string]any{"now": strconv.FormatUint(before, 10), "passed": passed}, nil
	})
	milepost.Step("random", func(none) ([]int, error) {
		numbers := []int{}
		for _, b := range milepost.Random(8) {
			numbers = append(numbers, int(b))
		}
		return numbers, nil
	})
	milepost.Step("memo", func(in json.RawMessage) (json.RawMessage, error) {
		done := false
		value, err := milepost.Once("work", func() (json.RawMessage, error) {
			done = true
			return in, nil
		})
		if err == nil && done {
			err = milepost.Retryable{Code: "again", Message: "the work is done"}
		}
		return value, err
	})
	milepost.Step("kv", kv)
	milepost.Step("http", func(in address) (any, error) {
		response, err := milepost.Request("POST", in.URL, []byte("grüße"), "x-case", "http")
		return map[string]any{"status": response.Status, "body": string(response.Body)}, err
	})
	milepost.Step("artifacts", func(none) (any, error) {
		artifact, err := milepost.WriteArtifact("a.txt", "text/plain", []byte("grüße an alle"))
		if err != nil {
			return nil, err
		}
		tail, err := milepost.ReadArtifact(artifact.Digest, 8, 100)
		return map[string]any{"size": artifact.Size, "type": artifact.MediaType, "tail": string(tail)}, err
	})
	milepost.Step("exec", func(none) (string, error) {
		_, err := milepost.RunProgram("sh", nil, "-c", "true")
		return code(err), nil
	})
	milepost.Step("strict", func(in json.RawMessage) (int, error) {
		parsed, err := milepost.Parse[number](in)
		return parsed.N, err
	})
	milepost.Raw("broken", func(string) (string, error) { return `{"unfinished":`, nil })
}

func kv(none) (any, error) {
	bucket, err := milepost.OpenBucket("b")
	if err != nil {
		return nil, err
	}
	revision, err := bucket.Put("k/ü", []byte("v1"))
	if err != nil {
		return nil, err
	}
	item, err := bucket.Get("k/ü")
	if err != nil {
		return nil, err
	}
	_, conflict := bucket.Replace("k/ü", nil, []byte("v2"))
	keys, err := bucket.Keys("k/", "", 10)
	if err != nil {
		return nil, err
	}
	if err := bucket.Delete("k/ü"); err != nil {
		return nil, err
	}
	left, err := bucket.Get("k/ü")
	return map[string]any{
		"value": string(item.Value), "same": item.Revision == revision, "replace": code(conflict), "keys": keys, "left": left != nil,
	}, err
}

func code(err error) string {
	var refused milepost.HostError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return "allowed"
}
