// Two steps. What else the host offers is in wit/v0.1.0/step.wit; milepost.go has what these steps use.
package main

import "encoding/json"

const manifest = `{"name":"{{name}}","version":"0.1.0","description":"Greets and asks.","steps":{
"greet":{"description":"Greets somebody.",
"input":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]},
"output":{"type":"object","properties":{"greeting":{"type":"string"}},"required":["greeting"]}},
"ask":{"description":"Asks a person: pauses until the signal answer arrives.",
"input":{"type":"object","properties":{"question":{"type":"string"}},"required":["question"]},
"output":{"type":"object","properties":{"question":{"type":"string"},"answer":{}},"required":["question","answer"]}}}}`

var steps = map[string]func(input []byte) (any, error){"greet": greet, "ask": ask}

func greet(input []byte) (any, error) {
	var in struct{ Name *string }
	if err := json.Unmarshal(input, &in); err != nil || in.Name == nil {
		return nil, Failed{"invalid_input", "`name` must be a text"}
	}
	Log(Info, "greeting")
	return map[string]string{"greeting": "Hello, " + *in.Name + "!"}, nil
}

type question struct {
	Question string `json:"question"`
}

// Each attempt begins afresh: what this one has to know comes back as the state.
func ask(input []byte) (any, error) {
	if state, ok := ResumeState(); ok {
		input = []byte(state)
	}
	var q question
	if err := json.Unmarshal(input, &q); err != nil {
		return nil, Failed{"invalid_input", "`question` must be a text"}
	}
	answer, ok := ResumeSignal()
	if !ok {
		kept, _ := json.Marshal(q)
		return nil, Paused{Code: "needs-answer", Reason: "waiting for the signal `answer`", Signal: "answer", State: string(kept)}
	}
	return map[string]any{"question": q.Question, "answer": json.RawMessage(answer)}, nil
}
