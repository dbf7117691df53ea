<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use ArrayIterator;
use JsonException;
use JsonSerializable;
use PHPUnit\Framework\TestCase;
use stdClass;
use Voxgate\Shim\Digits;
use Voxgate\Shim\EncodingError;
use Voxgate\Shim\Json;

final class JsonTest extends TestCase
{
    /** @return array<string, array{mixed, string}> */
    public function values(): array
    {
        $serializable = new class implements JsonSerializable {
            public function jsonSerialize(): array
            {
                return ['a' => 1.0];
            }
        };
        return [
            'the empty array is a list' => [[], '[]'],
            'an empty object is none' => [new stdClass(), '{}'],
            'keys in order make a list' => [[0 => 'a', 1 => 'b'], '["a","b"]'],
            'a gap makes an object' => [[0 => 'a', 2 => 'b'], '{"0":"a","2":"b"}'],
            'a serialisable says what it is' => [$serializable, '{"a":1.0}'],
            'digits past 64 bits' => [new Digits('18446744073709551616'), '18446744073709551616'],
            'line separators stay' => ["\u{2028}/", "\"\u{2028}/\""],
        ];
    }

    /** @dataProvider values */
    public function testAValueIsWrittenInOneWay(mixed $value, string $expected): void
    {
        $this->assertSame($expected, Json::encode($value));
    }

    public function testTheIniSettingOfTheApplicationNeitherMattersNorChanges(): void
    {
        $before = ini_set('serialize_precision', '3');
        $this->assertSame('0.30000000000000004', Json::encode(0.1 + 0.2));
        $this->assertSame('3', ini_get('serialize_precision'));
        ini_set('serialize_precision', (string) $before);
    }

    /** @return array<string, array{mixed}> */
    public function notData(): array
    {
        $loop = new stdClass();
        $loop->self = $loop;
        return [
            'text that is not UTF-8' => ["caf\xe9"],
            'a name that is not UTF-8' => [["\xff" => 1]],
            'half of a surrogate pair' => ["\xed\xa0\x80"],
            'an overlong slash' => ["\xc0\xaf"],
            'a resource' => [STDIN],
            'a closure' => [static fn (): int => 1],
            'an object of a class' => [new ArrayIterator([])],
            'what holds itself' => [$loop],
        ];
    }

    /** @dataProvider notData */
    public function testWhatIsNotJsonDataIsAnErrorAndNothingIsDropped(mixed $value): void
    {
        $this->expectException(EncodingError::class);
        Json::encode(['value' => $value]);
    }

    /** @return list<array{string}> */
    public function malformed(): array
    {
        $deep = str_repeat('[', 65) . str_repeat(']', 65);
        return [
            [''], ['{'], ['[1,]'], ['NaN'], ['1e999'], ['[-1e999]'], ['{"a":{"b":1e999}}'], ["\"\xff\""], ['"\ud800"'],
            ['{"\u0000a":1}'], ["\u{feff}1"], ["\"\x01\""], ['TRUE'], [$deep],
        ];
    }

    /** @dataProvider malformed */
    public function testWhatNoStrictParserReadsIsMalformed(string $text): void
    {
        $this->expectException(JsonException::class);
        Json::decode($text);
    }

    public function testObjectsAndListsStayApart(): void
    {
        $this->assertSame('{"a":{},"b":[],"0":{"1":[]}}', Json::encode(Json::decode('{"a":{},"b":[],"0":{"1":[]}}')));
    }

    /** @return list<array{string}> */
    public function notDigits(): array
    {
        return [[''], ['01'], ['-0'], ['+1'], ['1.0'], ['1e5'], ["1\n"], [' 1'], ['١']];
    }

    /** @dataProvider notDigits */
    public function testDigitsAreOneWholeNumberAndNothingElse(string $text): void
    {
        $this->expectException(EncodingError::class);
        new Digits($text);
    }
}
