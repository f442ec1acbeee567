// Conversion between rows of the file, messages of the contract, and lines of output.

package main

import (
	"context"
	"fmt"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// A row of the file; other fields are ignored.
type row struct{ ID, Headline, Body string }

// Compiles the contract in a folder and returns the method ClassifyStream.
func classifyStream(folder string) (protoreflect.MethodDescriptor, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{folder}}),
	}
	files, err := compiler.Compile(context.Background(), "dateline/v1/classifier.proto")
	if err != nil {
		return nil, err
	}
	return files[0].Services().ByName("Classifier").Methods().ByName("ClassifyStream"), nil
}

// The value of a field in nested messages; unset fields have their zero value.
func get(message protoreflect.Message, path ...protoreflect.Name) protoreflect.Value {
	value := protoreflect.ValueOfMessage(message)
	for _, name := range path {
		value = value.Message().Get(value.Message().Descriptor().Fields().ByName(name))
	}
	return value
}

func toRequest(method protoreflect.MethodDescriptor, row row) *dynamicpb.Message {
	request := dynamicpb.NewMessage(method.Input())
	article := request.Mutable(request.Descriptor().Fields().ByName("article")).Message()
	for name, text := range map[protoreflect.Name]string{"id": row.ID, "headline": row.Headline, "body": row.Body} {
		article.Set(article.Descriptor().Fields().ByName(name), protoreflect.ValueOfString(text))
	}
	return request
}

func toLine(answer protoreflect.Message) string {
	const about = 1 // Role.ABOUT
	topic, confidence, region := "-", "-", "-"
	if answer.Has(answer.Descriptor().Fields().ByName("error")) {
		topic = "-:" + get(answer, "error", "message").String()
	}
	if topics := get(answer, "classification", "topics").List(); topics.Len() > 0 {
		best := topics.Get(0).Message()
		topic, confidence = get(best, "code").String(), fmt.Sprintf("%.2f", get(best, "confidence").Float())
	}
	for i, regions := 0, get(answer, "classification", "regions").List(); i < regions.Len(); i++ {
		if get(regions.Get(i).Message(), "role").Enum() == about {
			region = get(regions.Get(i).Message(), "label", "code").String()
			break
		}
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s", get(answer, "id"), topic, confidence, region)
}
