<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use PHPUnit\Framework\TestCase;
use Voxgate\Shim\Donna;
use Voxgate\Shim\SharedData;

final class DonnaTest extends TestCase
{
    /** @return list<array{string, string|null, string}> */
    public function turns(): array
    {
        return [
            ['Hello!', null, 'greeting'], ['HELLO', null, 'greeting'], ['hellothere', null, 'unknown'],
            ['What does it cost?', null, 'price'], ['Book a demo, please', null, 'demo'], ['yes', 'demo', 'demo_day'],
            ['yes', null, 'unknown'], ['No, later', 'price', 'declined'], ['no', 'unknown', 'unknown'],
            ["how\n\tMUCH?", null, 'price'], ['how is much', null, 'unknown'], ['call me', null, 'unknown'],
            ['call back', null, 'human'], ['Grüße', null, 'unknown'], ['😀 hi 😀', null, 'greeting'],
            ["\0hi", null, 'greeting'],
        ];
    }

    /** @dataProvider turns */
    public function testTheFirstRuleThatFitsAnswers(string $text, ?string $before, string $intent): void
    {
        $this->assertSame($intent, Donna::answer($text, $before)->intent);
    }

    public function testANameIsHeardAndSaidAgain(): void
    {
        $said = Donna::answer('Hi, my NAME is ada lovelace', null)->reply;
        $this->assertStringStartsWith('Nice to meet you, Ada.', $said);
        $this->assertStringStartsWith('Nice to meet you, 3po.', Donna::answer('I am called 3PO', null)->reply);
    }

    public function testEveryRuleCanBeReached(): void
    {
        foreach (SharedData::load('donna_rules')->rules as $rule) {
            $before = $rule->after[0] ?? null;
            $reached = array_map(
                static fn (string $phrase): string => Donna::answer("$phrase x", $before)->intent,
                $rule->phrases,
            );
            $this->assertContains($rule->intent, $reached);
        }
    }
}
