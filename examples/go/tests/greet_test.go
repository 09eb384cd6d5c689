// Package tests starts the image's own program and asks it questions.
package tests

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

const address = "127.0.0.1:8080"

func TestMain(m *testing.M) {
	greet := exec.Command("greet")
	greet.Env = append(os.Environ(), "GREET_ADDRESS="+address)
	if err := greet.Start(); err != nil {
		panic(err)
	}
	for range 50 {
		if response, err := http.Get("http://" + address); err == nil {
			response.Body.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	code := m.Run()
	_ = greet.Process.Kill()
	os.Exit(code)
}

func TestAGuestIsGreetedByName(t *testing.T) {
	response, err := http.Get("http://" + address + "/hello/Ada")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(body), "Hello, Ada!\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	response, err := http.Get("http://" + address + "/goodbye")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("got %s, want 404", response.Status)
	}
}
