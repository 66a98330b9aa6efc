// Two steps. What else the host offers is in milepost/world.go.
package main

import (
	"encoding/json"

	"milepost"
)

type person struct {
	Name string `json:"name"`
}

type greeting struct {
	Greeting string `json:"greeting"`
}

type question struct {
	Question string `json:"question"`
}

type answered struct {
	Question string          `json:"question"`
	Answer   json.RawMessage `json:"answer"`
}

func main() {}

// The types of input and output become the schemas of the steps.
func init() {
	milepost.Plugin(milepost.Manifest{Name: "{{name}}", Version: "0.1.0", Description: "Greets and asks."})
	milepost.Step("greet", greet)
	milepost.Step("ask", ask)
}

func greet(in person) (greeting, error) {
	if in.Name == "" {
		return greeting{}, milepost.Failed{Code: "invalid_input", Message: "`name` must be a text"}
	}
	milepost.Log(milepost.Info, "greeting")
	return greeting{"Hello, " + in.Name + "!"}, nil
}

// Asks a person: pauses until the signal `answer` arrives. Each attempt begins afresh: what this one has to know comes back as the
// state.
func ask(in question) (answered, error) {
	if state := milepost.ResumeState(); state != nil {
		kept, err := milepost.Parse[question](state)
		if err != nil {
			return answered{}, err
		}
		in = kept
	}
	answer := milepost.ResumeSignal()
	if answer == nil {
		return answered{}, milepost.Pause{Code: "needs-answer", Reason: "waiting for the signal `answer`", Signal: "answer", State: in}
	}
	return answered{in.Question, answer}, nil
}
