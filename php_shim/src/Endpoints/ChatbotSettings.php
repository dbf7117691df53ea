<?php

declare(strict_types=1);

namespace Voxgate\Shim\Endpoints;

use Voxgate\Shim\Call;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Result;
use Voxgate\Shim\SharedData;

/**
 * Reads the settings, and judges new ones: the answer to a POST is what they would be. Nothing is saved.
 *
 * Legacy field: `settings`.
 */
final class ChatbotSettings implements Endpoint
{
    public function answer(Call $call): Result
    {
        $settings = (array) SharedData::load('chatbot_settings');
        foreach ((array) ($call->body ?? []) as $name => $value) {
            $settings[$name] = $value;
        }
        $judged = $call->method === 'POST' ? ['valid' => true, 'saved' => false] : [];
        return new Result(['settings' => $settings, ...$judged], ['settings' => $settings]);
    }
}
