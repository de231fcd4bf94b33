// What Kubernetes' own decoder makes of YAML: reads a JSON list of texts, writes for each its JSON, or null where it refuses.
// Run by hand: go run . < ../../fixtures/render/yaml-cases.json > ../../fixtures/render/yaml-verdicts.json
package main

import (
	"encoding/json"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		panic(err)
	}
	verdicts := make([]*string, len(texts))
	for i, text := range texts {
		if out, err := yaml.YAMLToJSON([]byte(text)); err == nil {
			json := string(out)
			verdicts[i] = &json
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(verdicts); err != nil {
		panic(err)
	}
}
