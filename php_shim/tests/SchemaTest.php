<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use LogicException;
use PHPUnit\Framework\TestCase;
use Voxgate\Shim\Json;
use Voxgate\Shim\Schema;

final class SchemaTest extends TestCase
{
    /** @return list<array{string, string, bool}> */
    public function cases(): array
    {
        return [
            ['{"type":"integer"}', '1', true], ['{"type":"integer"}', '1.0', true],
            ['{"type":"integer"}', '1.5', false],
            ['{"type":"integer"}', 'true', false], ['{"type":"number"}', '"1"', false],
            ['{"type":"null"}', 'null', true],
            ['{"type":["string","null"]}', 'null', true], ['{"type":["string","null"]}', '1', false],
            ['{"type":"object"}', '[]', false], ['{"type":"array"}', '{}', false], ['{"type":"boolean"}', '0', false],
            ['{"const":1}', '1.0', true], ['{"const":true}', '1', false], ['{"enum":["a","b"]}', '"c"', false],
            ['{"minLength":1}', '""', false], ['{"maxLength":2}', '"😀é"', true],
            ['{"maxLength":1}', '"e\u0301"', false],
            ['{"maxLength":1}', '"\n"', true], ['{"pattern":"^[a~]+$"}', '"a~"', true],
            ['{"pattern":"b"}', '"abc"', true],
            ['{"pattern":"^[^\\\\u0000-\\\\u001f]*$"}', '"a\u0001"', false], ['{"pattern":"x"}', '5', true],
            ['{"minimum":0,"maximum":2}', '2.0', true], ['{"minimum":0}', '-1e-9', false],
            ['{"maximum":2}', '1e300', false],
            ['{"items":{"type":"string"},"maxItems":2}', '["a","b"]', true],
            ['{"items":{"type":"string"}}', '[1]', false],
            ['{"maxItems":1}', '[1,2]', false], ['{"required":["a"]}', '{"a":null}', true],
            ['{"required":["a"]}', '{}', false],
            ['{"properties":{"0":{"type":"string"}}}', '{"0":1}', false],
            ['{"properties":{"a":false}}', '{"b":1}', true],
            ['{"properties":{"a":true},"additionalProperties":false}', '{"a":1}', true],
            ['{"additionalProperties":false}', '{"":1}', false],
            ['{"additionalProperties":{"type":"null"}}', '{"a":1}', false],
            ['{"allOf":[{"minimum":1},{"maximum":1}]}', '1', true], ['{"anyOf":[{"const":1},{"const":2}]}', '3', false],
            ['{"oneOf":[{"minimum":1},{"minimum":2}]}', '3', false], ['{"not":{"required":["a"]}}', '{"a":1}', false],
            ['{"$defs":{"t":{"type":"string"}},"$ref":"#/$defs/t"}', '1', false], ['{"title":"x"}', '1', true],
            ['{"$ref":"urn:voxgate:schema:envelope-success"}', '{"success":true}', false], ['false', '1', false],
        ];
    }

    /** @dataProvider cases */
    public function testAValueFitsWhereTheSpecificationSaysSo(string $schema, string $value, bool $fits): void
    {
        $this->assertSame($fits, Schema::fits(Json::decode($schema), Json::decode($value)));
    }

    public function testAKeywordThatIsNotKnownIsAnErrorAndNeverPassedOver(): void
    {
        $this->expectException(LogicException::class);
        Schema::fits(Json::decode('{"uniqueItems":true}'), []);
    }

    public function testAReferenceToNothingIsAnError(): void
    {
        $this->expectException(LogicException::class);
        Schema::fits(Json::decode('{"$ref":"#/$defs/none"}'), 1);
    }
}
