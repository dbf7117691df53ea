<?php

declare(strict_types=1);

require __DIR__ . '/../../src/autoload.php';

Voxgate\Shim\Front::serve('chatbot_settings', new Voxgate\Shim\Endpoints\ChatbotSettings());
