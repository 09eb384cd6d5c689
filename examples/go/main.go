// Command greet answers HTTP requests with a greeting.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	address := os.Getenv("GREET_ADDRESS")
	if address == "" {
		address = ":8080"
	}
	http.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s!\n", r.PathValue("name"))
	})
	log.Fatal(http.ListenAndServe(address, nil))
}
