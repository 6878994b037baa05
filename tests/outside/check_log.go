// Command check_log checks a log of ours with Go's own transparency log library (golang.org/x/mod/sumdb),
// which shares no code with us.
//
//	check_log log FOLDER VKEY                      the checkpoint, every tile and every entry
//	check_log inclusion FILE VKEY                  a proof file that carries its entry
//	check_log consistency OLD NEW PROOF VKEY       two checkpoints and the hashes between them, one a line
//
// It ends with 0 if everything holds, and with 1 and a reason if anything does not.
package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

type checkpoint struct {
	origin string
	tree   tlog.Tree
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "log":
		return checkLog(args[1], args[2])
	case len(args) == 3 && args[0] == "inclusion":
		return checkInclusion(args[1], args[2])
	case len(args) == 5 && args[0] == "consistency":
		return checkConsistency(args[1], args[2], args[3], args[4])
	}
	return errors.New("usage: check_log log|inclusion|consistency FILE... VKEY")
}

func openCheckpoint(data []byte, vkey string) (checkpoint, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return checkpoint{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return checkpoint{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		return checkpoint{}, fmt.Errorf("not a checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return checkpoint{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return checkpoint{}, err
	}
	return checkpoint{lines[0], tlog.Tree{N: size, Hash: root}}, nil
}

// folderTiles reads tiles where C2SP tlog-tiles puts them: as Go's, but for the height in the path.
type folderTiles string

func (folder folderTiles) Height() int                         { return tileHeight }
func (folder folderTiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (folder folderTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	contents := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
		data, err := os.ReadFile(filepath.Join(string(folder), path))
		if err != nil {
			return nil, err
		}
		contents[i] = data
	}
	return contents, nil
}

func checkLog(folder, vkey string) error {
	data, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	head, err := openCheckpoint(data, vkey)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(head.tree, folderTiles(folder))
	root, err := tlog.TreeHash(head.tree.N, hashes)
	if err != nil {
		return err
	}
	if root != head.tree.Hash {
		return errors.New("the tiles do not lead to the root that was signed")
	}
	for start := int64(0); start < head.tree.N; start += 1 << tileHeight {
		if err := checkEntries(folder, start, head.tree.N, hashes); err != nil {
			return err
		}
	}
	fmt.Printf("%s: %d entries\n", head.origin, head.tree.N)
	return nil
}

// checkEntries holds the entries of one bundle against the leaf hashes, which the tile reader has proved.
func checkEntries(folder string, start, size int64, hashes tlog.HashReader) error {
	width := size - start
	if width > 1<<tileHeight {
		width = 1 << tileHeight
	}
	tile := tlog.Tile{H: tileHeight, L: 0, N: start >> tileHeight, W: int(width)}
	path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", tileHeight), "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(folder, path))
	if err != nil {
		return err
	}
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, start+int64(i))
	}
	leaves, err := hashes.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		if len(data) < 2 || len(data)-2 < int(data[0])<<8|int(data[1]) {
			return fmt.Errorf("%s ends within entry %d", path, start+int64(i))
		}
		end := 2 + (int(data[0])<<8 | int(data[1]))
		if tlog.RecordHash(data[2:end]) != leaf {
			return fmt.Errorf("entry %d is not the one in the tree", start+int64(i))
		}
		data = data[end:]
	}
	if len(data) != 0 {
		return fmt.Errorf("%s holds more than its entries", path)
	}
	return nil
}

func checkInclusion(file, vkey string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a proof file with its entry")
	}
	entry, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	path, err := parseHashes(lines[3:])
	if err != nil {
		return err
	}
	signed, err := openCheckpoint(rest, vkey)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, signed.tree.N, signed.tree.Hash, index, tlog.RecordHash(entry))
}

func checkConsistency(oldFile, newFile, proofFile, vkey string) error {
	var heads [2]checkpoint
	for i, file := range []string{oldFile, newFile} {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if heads[i], err = openCheckpoint(data, vkey); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	proof, err := parseHashes(strings.Fields(string(data)))
	if err != nil {
		return err
	}
	older, newer := heads[0].tree, heads[1].tree
	return tlog.CheckTree(proof, newer.N, newer.Hash, older.N, older.Hash)
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(lines))
	for i, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		hashes[i] = hash
	}
	return hashes, nil
}
